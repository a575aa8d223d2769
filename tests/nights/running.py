"""Many nights, each in an operating-system process of its own.

Seeds in a row are a family: one process begins it and forks at its turns. A night
replaces names in production modules, leaves greenlets behind and takes any
file descriptor it likes: with its process all of that is gone. The processes are
forked from one that has everything imported; it has one thread.
"""

import argparse
import collections
import dataclasses
import fcntl
import gc
import itertools
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import IO

import runner.session.starting
from nights.beginning import prepared
from nights.futures import HERE, Futures
from nights.night import Night
from nights.plan import FAMILY, ITEMS, Plan
from nights.provider import ALL
from runner.api import Run
from runner.config import (
    Price,
    RunConfig,
    Service,
    TaskSpec,
    default_output,
)

_HASHING = "PYTHONHASHSEED"
_MEMORY = Path("/dev/shm")
_PIPE_BYTES = 1 << 20
_MANY = 100


@dataclass(frozen=True, slots=True)
class Told:
    """What a night says of itself."""

    seed: int
    plan: str
    broken: list[str]
    faults: int
    hours: float
    sessions: int
    seen: list[str]
    digest: str


def a_family(seeds: list[int], template: Path, folder: Path) -> list[Told]:
    """In this very process and in forks of it: nothing else may follow in it.

    Each tells of the night it is at the end of; of more than one only where they ended
    before they parted. `folder`: empty, one each is made in it.
    """
    begun = folder / "begun"
    begun.mkdir()
    os.chdir(begun)
    os.environ["XDG_STATE_HOME"] = str(HERE)
    plan, futures = Plan.of(seeds[0]), Futures(seeds)
    night = Night(plan, prepared(template, HERE, plan), futures)
    try:
        night.pass_by()
    except Exception:  # noqa: BLE001 - a night that ends so is a finding as well
        night.broken.append(traceback.format_exc())
    if len(futures.seeds) > 1:
        night.broken.append("ended before it parted from its family")
    return [_told(seed, night) for seed in futures.seeds]


def _told(seed: int, night: Night) -> Told:
    return Told(
        seed=seed,
        plan=dataclasses.replace(night.plan, seed=seed).describe(),
        broken=night.broken[:5],
        faults=night.plan.faults,
        hours=(night.world.now_s - 1_000) / 3_600,
        sessions=night.machine.session,
        seen=sorted(night.provider.seen),
        digest=night.digest(),
    )


def nights(seeds: Iterable[int], template: Path, jobs: int) -> Iterator[Told]:
    """So many families at a time, told in the order of their seeds."""
    families = itertools.groupby(seeds, lambda seed: seed // FAMILY)
    waiting = (list(family) for _, family in families)
    running: collections.deque[_Child] = collections.deque()
    try:
        while True:
            while len(running) < jobs and (family := next(waiting, None)):
                running.append(_begin(family, template))
            if not running:
                return
            yield from running[0].told()
            running.popleft().end()
    finally:
        for child in running:
            os.kill(child.pid, signal.SIGKILL)
            child.pipe.read()  # its forks die after it, and then the pipe ends
            child.end()


@dataclass(frozen=True, slots=True)
class _Child:
    pid: int
    pipe: IO[str]
    folder: Path
    seeds: list[int]

    def told(self) -> Iterator[Told]:
        """Each night as it ends; those that never told of themselves at last."""
        missing = set(self.seeds)
        for line in self.pipe:
            for told in json.loads(line):
                missing.remove(told["seed"])
                yield Told(**told)
        yield from map(_dead, sorted(missing))

    def end(self) -> None:
        self.pipe.close()
        os.waitpid(self.pid, 0)
        shutil.rmtree(self.folder)


def _begin(seeds: list[int], template: Path) -> _Child:
    folder = Path(tempfile.mkdtemp(prefix="nights-", dir=place()))

    def night() -> str:
        told = a_family(seeds, template, folder)
        return json.dumps([dataclasses.asdict(each) for each in told]) + "\n"

    return _Child(*_forked(night), folder, seeds)


def in_child(work: Callable[[], str]) -> str:
    """What `work` says, done in a process of its own; empty if that died."""
    pid, pipe = _forked(work)
    with pipe:
        told = pipe.read()
    os.waitpid(pid, 0)
    return told


def _forked(work: Callable[[], str]) -> tuple[int, IO[str]]:
    """A process that does `work`, and where it tells of it."""
    reading, writing = os.pipe()
    # All that a family says, while it is not its turn to be listened to.
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    sys.stdout.flush()
    # It is over before collecting its garbage would have been worth it.
    gc.freeze()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, os.fdopen(reading)
    gc.disable()
    try:
        with os.fdopen(writing, "w") as pipe:
            pipe.write(work())
    except BaseException:  # noqa: BLE001 - nothing of the parent's may go on here
        traceback.print_exc()
    # Nothing of the parent's is cleaned up here.
    os._exit(0)


def template_run(folder: Path, count: int = ITEMS) -> Path:
    """A run of so many items that nobody has worked on."""
    items = folder / "items.jsonl"
    items.write_text("".join(f'{{"id":{n}}}\n' for n in range(count)))
    usd = Decimal(1)
    price = Price(input_usd=usd, cached_input_usd=usd, output_usd=usd)
    setattr(runner.session.starting, "probe", lambda _url: {})  # noqa: B010 - not ours
    run = Run.start(
        RunConfig(
            items_path=items,
            task=TaskSpec(
                prompt="Item {{id}} please",
                model="m",
                valid_regex="good.*",
                params={"max_completion_tokens": 20},
            ),
            service=Service(base_url="http://127.0.0.1:9/v1", prices={"m": price}),
            output=default_output(items),
        ),
        name="night",
        state_dir=folder / "state",
    )
    return run.folder


def main() -> int:
    """The command."""
    asked = _asked()
    if os.environ.get(_HASHING) != "0":
        # Sets of words would be gone through in another order each time.
        os.execve(
            sys.executable,
            [sys.executable, "-m", "nights", *sys.argv[1:]],
            {**os.environ, _HASHING: "0"},
        )
    begun_s = time.monotonic()
    until = asked.first + asked.count * asked.every
    seeds = range(asked.first, until, asked.every)
    sum_ = Sum()
    with tempfile.TemporaryDirectory(dir=place()) as folder:
        template = template_run(Path(folder))
        for told in nights(seeds, template, asked.jobs):
            sum_.add(told)
            if told.broken or asked.describe:
                print(told.plan, told.digest)
                print("\n".join(f"    {what}" for what in told.broken), flush=True)
            if told.broken and asked.fail_fast:
                break
    print(f"{sum_.line()}, {time.monotonic() - begun_s:.0f} s")
    return 1 if sum_.broken else 0


@dataclass(slots=True)
class Sum:
    """Many nights, added up."""

    nights: int = 0
    broken: int = 0
    faults: int = 0
    fewest_faults: int = 10**9
    hours: float = 0.0
    sessions: int = 0
    seen: set[str] = field(default_factory=set)
    fewest_kinds: int = len(ALL)
    """Of failure, in any hundred nights that follow each other."""
    _last: collections.deque[list[str]] = field(
        default_factory=lambda: collections.deque(maxlen=_MANY)
    )

    def add(self, told: Told) -> None:
        """One more."""
        self.nights += 1
        self.broken += bool(told.broken)
        self.faults += told.faults
        self.fewest_faults = min(self.fewest_faults, told.faults)
        self.hours += told.hours
        self.sessions += told.sessions
        self.seen.update(told.seen)
        self._last.append(told.seen)
        if len(self._last) == _MANY:
            kinds = len(set().union(*self._last))
            self.fewest_kinds = min(self.fewest_kinds, kinds)

    def line(self) -> str:
        """For the terminal."""
        return (
            f"{self.nights:,} nights, {self.hours:,.0f} hours, {self.sessions:,}"
            f" sessions, {self.faults:,} faults (at least {self.fewest_faults} each),"
            f" {len(self.seen)} of {len(ALL)} kinds of failure (at least"
            f" {self.fewest_kinds} in any {_MANY}),"
            f" {self.broken} nights with violations"
        )


def place() -> Path | None:
    """Where nights are: in memory, if the machine has that."""
    return _MEMORY if _MEMORY.is_dir() else None


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="nights", description=__doc__)
    parser.add_argument("first", type=int, help="first seed")
    parser.add_argument("count", type=int, help="how many nights")
    parser.add_argument(
        "--every", type=int, default=1, help="seeds from one to the next"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--describe", action="store_true", help="tell each plan")
    parser.add_argument("--fail-fast", action="store_true", help="end with the first")
    return parser.parse_args()


def _dead(seed: int) -> Told:
    return Told(seed, f"seed {seed}", ["its process died"], 0, 0.0, 0, [], "")
