"""A server, a limiter and a shard that a test holds in its hand."""

import dataclasses
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from fake_clock import FakeClock

from runner.checkpoint.entries import Attempt, Outcome
from runner.checkpoint.history import History
from runner.config import Pacing
from runner.errors import StoreError, TaskError
from runner.limiter import Refusal
from runner.records import (
    Answer,
    Endpoint,
    Failure,
    FailureKind,
    Item,
    ItemRef,
    Reply,
    Request,
    Verdict,
)
from runner.retrying import Retrying
from runner.worker.tools import Tools
from runner.worker.walk import Ending, Walk

GOOD = (
    b'{"choices":[{"message":{"content":"yes"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":5,"completion_tokens":1}}'
)
BAD = GOOD.replace(b"yes", b"no")


def reply(body: bytes = GOOD, kind: FailureKind | None = None, **more: Any) -> Reply:
    """An answer, or a failure of that kind."""
    failure = None
    if kind:
        billed = kind in (FailureKind.TIMEOUT, FailureKind.CUT, FailureKind.GARBLED)
        failure = Failure(kind=kind, message=str(kind), possibly_billed=billed, **more)
    return Reply(
        status=None if failure else 200,
        headers={},
        body=body,
        latency_s=0.1,
        request_id="req_1",
        failure=failure,
    )


@dataclass
class World:
    """All that a walk touches, in one list of what happened."""

    clock: FakeClock
    replies: deque[Reply] = field(default_factory=deque)
    log: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    stops_at_call: bool = False
    """The run begins to drain while the call is under way."""
    stale: int = 0
    """So many permits turn stale before they are used."""
    called_off: bool = False
    """By a pause, not for being late."""
    store_fails_at: str | None = None
    forgives: bool = False
    refusal: Refusal | None = None
    on_reserve: Callable[[Any], None] = lambda _want: None
    stored: tuple[Attempt, bytes] | None = None
    worst_usd: Decimal | None = Decimal("0.01")
    cannot_ask: bool = False
    """The user's `get_prompt` raises."""
    verdict_of: Callable[[Answer | None], Verdict] = lambda answer: Verdict(
        valid=bool(answer and answer.response == "yes"), reason="not yes"
    )
    settled: list[Attempt] = field(default_factory=list)
    begun: list[Attempt] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    # Task

    def request_for(self, _item: Item) -> Request:
        """The one question there is."""
        if self.cannot_ask:
            raise TaskError("get_prompt raised ConnectionError")
        return Request(
            endpoint=Endpoint.CHAT,
            path="/chat/completions",
            body={"model": "m"},
            model="m",
            content=b'{"model":"m"}',
            text_characters=3,
            output_limit_tokens=10,
            is_bounded=True,
        )

    def judge(self, _item: Item, answer: Answer | None) -> Verdict:
        """Valid when it is yes, unless the test says otherwise."""
        self.log.append("judge")
        verdict = self.verdict_of(answer)
        return dataclasses.replace(verdict, response=answer and answer.response)

    # Limiter

    def reserve(self, want: Any, _stop: threading.Event) -> Any:
        """Leave at once, or a refusal."""
        self.log.append("reserve")
        self.on_reserve(want)
        return self.refusal or want

    def is_fresh(self, _permit: Any) -> bool:
        """Stale as often as the test says."""
        self.stale -= 1
        return self.stale < 0

    def renew(self, permit: Any) -> Any:
        """Leave at once, or a refusal."""
        self.log.append("renew")
        return self.refusal or permit

    def release(self, _permit: Any) -> None:
        """Its dollars."""
        self.log.append("release")

    def is_called_off(self, _permit: Any) -> bool:
        """A stop, or what the test says."""
        return self.stop.is_set() or self.called_off

    def give_back(self, _permit: Any) -> None:
        """Not used."""
        self.log.append("give back")

    def answered(self, *_: Any) -> None:
        """Settled."""
        self.log.append("answered")

    def failed(self, _permit: Any, failure: Failure, *_: Any, **__: Any) -> bool:
        """Counts, where it may count at all."""
        self.log.append("failed")
        return failure.kind in (
            FailureKind.SERVER,
            FailureKind.TIMEOUT,
            FailureKind.CUT,
            FailureKind.GARBLED,
            FailureKind.REJECTED,
        )

    def forgiven(self, times: list[float]) -> list[float]:
        """All of them, during an outage."""
        return times if self.forgives else []

    def is_alone(self, _number: int) -> bool:
        """There are others."""
        return False

    def token_ratio(self) -> float:
        """Nothing learned."""
        return 1.0

    # Client

    def call(
        self, _request: Request, client_request_id: str, *, may_go: Callable[[], bool]
    ) -> Reply:
        """The next reply of the script, where it may go."""
        if not may_go():
            self.log.append("held back")
            return reply(kind=FailureKind.HELD_BACK)
        self.log.append("call")
        self.asked.append(client_request_id)
        if self.stops_at_call:
            self.stop.set()
        return self.replies.popleft()

    # Shard

    def begin(self, attempt: Attempt) -> None:
        """On disk, or an error."""
        self.log.append("begin")
        if self.store_fails_at == "begin":
            raise StoreError("disk full")
        self.begun.append(attempt)

    def settle(self, _begun: Attempt, done: Attempt, body: bytes) -> None:
        """On disk, or an error."""
        self.log.append("settle")
        if self.store_fails_at == "settle":
            raise StoreError("disk full")
        self.settled.append(done)
        self.bodies.append(body)

    # Prices

    def worst_case_usd(self, _request: Request) -> Decimal | None:
        """A cent."""
        return self.worst_usd

    def cost_usd(self, *_: Any) -> Decimal:
        """A tenth of it."""
        return Decimal("0.001")

    def walk(self, history: History | None = None, **pacing: Any) -> Ending:
        """Walk item 3 to its end."""
        it: Any = self
        tools = Tools(
            run_id="run",
            slot=1,
            task=it,
            limiter=it,
            shard=it,
            client=it,
            prices=it,
            clock=self.clock,
            pacing=Pacing(**pacing),
            stop=self.stop,
            retrying=Retrying(self.stop, self.clock),
            stored_reply=lambda *_: self.stored or (_raise(), b""),
            flights={},
        )
        return Walk(ITEM, history or History(), tools).to_end()


ITEM = Item(
    ref=ItemRef(
        row=3,
        number=3,
        line=4,
        offset=0,
        length=9,
        id_digest=b"i" * 16,
        fingerprint=b"f" * 16,
    ),
    item_id="three",
    fields={"id": "three"},
    raw=b'{"id":"three"}',
)


def done(ending: Ending) -> Outcome:
    """The outcome of a walk that has one."""
    assert ending.outcome is not None
    return ending.outcome


def _raise() -> Attempt:
    raise AssertionError("nothing is stored")
