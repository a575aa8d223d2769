"""Is every answer that was generated on record, however it came?

    python -m fuzz.responses 5000 --items 600

First so many odd responses go to the client alone: a reply each, never an exception,
never later than the deadline. Then runs of the inline engine: each item's first
response is odd, the second is good.
"""

import argparse
import queue
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from fuzz.odd_responses import CHAT, Odd, drawn, encoded, every_cut, slow, whole
from fuzz.odd_server import OddServer
from fuzz.stage import KEY, reading
from runner.api import run
from runner.client import Client, ClientSettings
from runner.clock import SystemClock
from runner.records import PATHS, AttemptState, Endpoint, Reply, Request
from runner.run_folder import LOG
from runner.run_status import RunState

_DEADLINE_S = 3.0
_GRACE_S = 2.0
"""Many threads on two cores are late for that alone."""
_THREADS = 24
_SLOW_SHARE = 100
_GOOD_BETWEEN = 3
_GOOD = whole("good", encoded(CHAT))


def cases(count: int, seed: int) -> Iterator[Odd]:
    """So many: every cut if there is room for them, one in a hundred slow."""
    draw = random.Random(seed)
    cuts = list(every_cut())
    if len(cuts) > count // 2:
        cuts = draw.sample(cuts, count // 2)
    for number in range(count - len(cuts)):
        yield slow(draw) if number % _SLOW_SHARE == 0 else drawn(draw)
    yield from cuts


def wrong_with(odd: Odd, reply: Reply) -> str | None:
    """What the client should not have said of a response."""
    failure = reply.failure
    if failure is None:
        if odd.body is not None and odd.body != reply.body:
            return "the bytes are others"
        return None
    if not failure.message.isprintable() or KEY in failure.message:
        return f"message {failure.message!r}"
    if odd.body is not None and odd.body != reply.body:
        return f"the bytes are lost ({failure.message})"
    if odd.is_generated and not failure.possibly_billed:
        return f"not billed? {failure.kind} {failure.message}"
    return None


def to_the_client(
    odds: Iterable[Odd], deadline_s: float
) -> tuple[Counter[str], list[str]]:
    """What came back, by kind; and what was wrong."""
    named = {str(number): odd for number, odd in enumerate(odds)}
    server = OddServer(named.__getitem__)
    client = Client(
        ClientSettings(
            base_url=server.url,
            organization=None,
            project=None,
            timeout_s=deadline_s,
            connections=_THREADS,
            run="fuzz",
        ),
        KEY,
        SystemClock(),
        has_answers=lambda: True,
    )
    calls = _Calls(client, server, named, deadline_s)
    calls.make()
    client.close()
    server.stop()
    twice = [name for name, n in Counter(server.asked).items() if n > 1]
    calls.wrong += [f"{named[name].name}: sent more than once" for name in twice]
    return calls.seen, calls.wrong


class _Calls:
    """All calls, by many threads."""

    def __init__(
        self,
        client: Client,
        server: OddServer,
        named: dict[str, Odd],
        deadline_s: float,
    ) -> None:
        self.seen = Counter[str]()
        self.wrong: list[str] = []
        self._client = client
        self._server = server
        self._named = named
        self._deadline_s = deadline_s
        self._waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
        for name in named:
            self._waiting.put(name)

    def make(self) -> None:
        """Make them all; deadlines are enforced as a worker does."""
        over = threading.Event()

        def enforce() -> None:
            while not over.wait(0.05):
                self._client.enforce_deadlines()

        enforcing = threading.Thread(target=enforce)
        threads = [threading.Thread(target=self._call_all) for _ in range(_THREADS)]
        for thread in (enforcing, *threads):
            thread.start()
        for thread in threads:
            thread.join()
        over.set()
        enforcing.join()

    def _call_all(self) -> None:
        while True:
            try:
                name = self._waiting.get_nowait()
            except queue.Empty:
                return
            odd, begun_s = self._named[name], time.monotonic()
            try:
                reply = self._client.call(_REQUEST, name)
            except BaseException as error:  # noqa: BLE001 - what is searched for
                self.wrong.append(f"{odd.name}: raises {error!r}"[:500])
                continue
            self._check(name, reply, time.monotonic() - begun_s)

    def _check(self, name: str, reply: Reply, took_s: float) -> None:
        odd = self._named[name]
        self.seen[reply.failure.kind if reply.failure else "answer"] += 1
        if took_s > self._deadline_s + _GRACE_S:
            self.wrong.append(f"{odd.name}: {took_s:.1f} s")
        # A connection that is just being closed takes no request more.
        if name in self._server.asked and (what := wrong_with(odd, reply)):
            self.wrong.append(f"{odd.name}: {what}")


def through_a_run(odds: Iterable[Odd], seed: int) -> list[str]:
    """A whole run whose items meet these first; what was wrong."""
    calm: list[Odd] = []
    for odd in odds:
        if not odd.may_stop:
            # Nothing but failures is an outage, and waited through.
            calm += [_GOOD] * _GOOD_BETWEEN + [odd]

    def odd_for(name: str) -> Odd:
        _, number, attempt = name.split("-")
        return calm[int(number)] if attempt == "1" else _GOOD

    server = OddServer(odd_for)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        items = Path(folder) / f"odd{seed}.jsonl"
        items.write_text("".join(f'{{"id": {n}}}\n' for n in range(len(calm))))
        finish = run(
            items,
            prompt="Item {{id}}",
            model="gpt-4o-mini",
            base_url=server.url,
            api_key=KEY,
            engine="inline",
            workers=2,
            threads=12,
            timeout_s=2.0,
            state_dir=Path(folder) / "state",
        )
        server.stop()
        run_folder = Path(folder) / "state" / f"odd{seed}"
        wrong = list(_unrecorded(calm, run_folder))
        if finish.status.state is not RunState.FINISHED:
            wrong.insert(0, f"stopped: {finish.stop}")
        wrong += _secret(Path(folder))
        log = (run_folder / LOG).read_text()
        if "Traceback" in log:
            wrong.append(log[-2000:])
        return wrong


def _unrecorded(odds: list[Odd], run_folder: Path) -> Iterator[str]:
    with reading(run_folder) as reader:
        for number, odd in enumerate(odds):
            found = [e for e in reader.attempts(number) if e[0].attempt == 1]
            if not found:
                yield f"{odd.name}: no attempt on record"
                continue
            attempt, body = found[0]
            failure = attempt.failure
            if attempt.state is AttemptState.OPEN:
                yield f"{odd.name}: its attempt is open"
            elif attempt.is_answer and odd.body is not None and body != odd.body:
                yield f"{odd.name}: other bytes on record"
            elif odd.is_generated and failure and not failure.possibly_billed:
                yield f"{odd.name}: {failure.kind}, not possibly billed"


def _secret(folder: Path) -> list[str]:
    held = [path for path in folder.rglob("*") if path.is_file()]
    return [f"the key is in {p.name}" for p in held if KEY.encode() in p.read_bytes()]


_REQUEST = Request(
    endpoint=Endpoint.CHAT,
    path=PATHS[Endpoint.CHAT],
    body={"model": "m", "messages": [{"role": "user", "content": "hello"}]},
    content=b'{"model":"m","messages":[{"role":"user","content":"hello"}]}',
    model="m",
    text_characters=5,
    output_limit_tokens=None,
    is_bounded=True,
)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="fuzz.responses", description=__doc__)
    parser.add_argument("responses", type=int)
    parser.add_argument("--items", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    begun_s = time.monotonic()
    odds = cases(asked.responses, asked.seed)
    seen, wrong = to_the_client(odds, _DEADLINE_S)
    took_s = time.monotonic() - begun_s
    print(f"{seen.total()} to the client, {len(wrong)} wrong, {took_s:.0f} s: {seen}")
    print("\n".join(wrong[:40]), flush=True)
    begun_s = time.monotonic()
    more = through_a_run(cases(asked.items, asked.seed + 1), asked.seed)
    took_s = time.monotonic() - begun_s
    print(f"{asked.items} items through runs, {len(more)} wrong, {took_s:.0f} s")
    print("\n".join(more[:40]))
    return 1 if wrong or more else 0


if __name__ == "__main__":
    sys.exit(main())
