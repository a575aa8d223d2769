"""Killed, or failed, at every call that changes the disk: start, commits, export.

A small run is repeated; each time another of its calls is the last one (before it, or
half done), or fails with EIO, or is the first on a full disk. Then the state has to
open, to tell what is unresolved, and a resume has to end well, with nothing
acknowledged lost and no target half written.
"""

import errno
import json
import shutil
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from runner.errors import RunnerError
from torture.closing import Options, told
from torture.disk_watch import How, Watch, calls_in, preloaded
from torture.forking import Command, prepare
from torture.histories import Broken, Ledger, Witness
from torture.small_run import IN_FLIGHT, ITEMS, OLD, SCENARIO, SmallRun
from torture.stage import Stage

_WAYS = (
    ("kill", How.KILL_BEFORE, 0),
    ("torn", How.KILL_TORN, 0),
    ("eio", How.FAIL_ONCE, errno.EIO),
    ("full", How.FAIL_FROM, errno.ENOSPC),
)
_KILLED = -9
_NO_RUN = 5
_WELL = (0, 3)
_BUG = 1
_MIDDLE = 0.62
"""Of a start's calls: some answers are recorded, some in flight."""


@dataclass
class Points:
    """Every point of a start, and of the resume of a start that was cut off."""

    stage: Stage
    folder: Path
    broken: Broken = field(default_factory=Broken)
    tried: Counter[str] = field(default_factory=Counter)
    hit: int = 0
    """Tries in which the point was reached."""
    unresolved: int = 0
    paid_twice: int = 0
    acknowledged: int = 0

    middle: int = 0
    """The call from which on the disk is full, before a resume is tried."""
    _witness: Witness | None = None

    def __post_init__(self) -> None:
        """Read one ledger for all."""
        self._ledger = Ledger(self.stage.ledger_path)

    def calls(self, *, of_resume: bool) -> int:
        """How many calls there are in an undisturbed start, or resume."""
        run = self._made("counted")
        if of_resume:
            self._cut_off(run)
        counted = self.folder / "counted.bin"
        watch = Watch(run.place, counted=counted)
        command = run.resume(watch) if of_resume else run.start(watch)
        code = command.wait()
        assert code in _WELL, command.output
        calls = calls_in(counted)
        counted.unlink()
        self._clear(run)
        return calls

    def try_one(self, way: int, point: int, *, of_resume: bool) -> None:
        """One run, hit at one point in one way."""
        name, how, error = _WAYS[way]
        what = f"{'resume' if of_resume else 'start'}-{name}-{point}"
        run = self._made(what)
        if of_resume:
            self._cut_off(run)
        watch = Watch(run.place, how, point, error)
        command = run.resume(watch) if of_resume else run.start(watch)
        code = command.wait()
        self.tried[name] += 1
        self.hit += code not in _WELL
        self._unless(
            code == _KILLED or (code != _BUG and code >= 0), what, code, command
        )
        found = len(self.broken.found)
        self._look(run, what)
        self._finish(run, what)
        if found == len(self.broken.found):
            self._clear(run)

    def _cut_off(self, run: SmallRun) -> None:
        """A start whose disk fills up in the middle: answers wait to be taken in."""
        run.start(Watch(run.place, How.FAIL_FROM, self.middle, errno.ENOSPC)).wait()

    def _look(self, run: SmallRun, what: str) -> None:
        code, output = run.stage.run("status", "items", "--json")
        is_there = (run.folder / "manifest.json").exists()
        expected = 0 if is_there else _NO_RUN
        self.broken.unless(code == expected, f"{what}: status {code} {output}")
        if not is_there or code != expected:
            return
        self._witness = Witness(run.folder, self._ledger, self.broken)
        unresolved = json.loads(output)["requests"]["unresolved"]
        try:
            hit = self._witness.killed(unresolved)
        except RunnerError as error:
            self.broken.unless(False, f"{what}: does not open: {error}")
            return
        self.unresolved += hit
        self.broken.unless(hit <= 2 * IN_FLIGHT, f"{what}: {hit} unresolved")
        self._compare(run, what)

    def _compare(self, run: SmallRun, what: str) -> None:
        """What the run acknowledged against what was seen last."""
        assert self._witness
        assert self._witness.before
        now = self._witness.before
        for line in run.acknowledged():
            kind, number, *more = line.split()
            if kind == "answer":
                answer = now.answers.get((int(number), int(more[0])))
                self.broken.unless(
                    answer and answer.sha256 == more[1], f"{what}: lost {line}"
                )
            elif kind == "outcome":
                self.broken.unless(int(number) in now.outcomes, f"{what}: lost {line}")
            self.acknowledged += 1

    def _finish(self, run: SmallRun, what: str) -> None:
        before = run.targets()
        command = run.again()
        code = command.wait()
        self._unless(code in _WELL, what, code, command)
        if code not in _WELL:
            return
        after = run.targets()
        for name, content in before.items():
            self.broken.unless(
                content in (OLD, after[name]), f"{what}: {name} is neither old nor new"
            )
            self.broken.unless(after[name] != OLD, f"{what}: {name} not written")
        left = [path.name for path in run.place.rglob("*.tmp")]
        left += [path.name for path in run.stage.state.glob(".runner-start-*")]
        self.broken.unless(not left, f"{what}: left over {left}")
        if self._witness is None:
            self._witness = Witness(run.folder, self._ledger, self.broken)
        self.paid_twice += self._witness.audit()
        self._compare(run, what)
        assert self._witness.before
        done = len(self._witness.before.outcomes)
        self.broken.unless(done == ITEMS, f"{what}: {done} items done")

    def _unless(self, holds: object, what: str, code: int, command: Command) -> None:
        if not holds:
            self.broken.unless(False, f"{what}: exit {code}: {command.output}")

    def _made(self, name: str) -> SmallRun:
        self._witness = None
        return SmallRun.made(self.stage, self.folder / name)

    def _clear(self, run: SmallRun) -> None:
        shutil.rmtree(run.place)
        run.acknowledged_path.unlink()


def spread(calls: int, tries: int) -> list[int]:
    """So many points, evenly; 0: every one of them."""
    step = max(1.0, calls / tries) if tries else 1.0
    return sorted({round(1 + step * n) for n in range(int(calls / step))})


def main() -> int:
    """The command."""
    options = Options.read(__doc__, rounds=0, rounds_help="tries; 0: every point")
    preloaded("torture.crash_points")
    begun_s = time.monotonic()
    prepare()
    stage = Stage.opened(options.folder, SCENARIO, options.seed)
    points = Points(stage, options.folder)
    figures: dict[str, object] = {}
    try:
        for of_resume in (False, True):
            calls = points.calls(of_resume=of_resume)
            if not of_resume:
                points.middle = round(calls * _MIDDLE)
            figures["calls_of_resume" if of_resume else "calls_of_start"] = calls
            each = options.rounds // 2
            for number, point in enumerate(spread(calls, each)):
                # A short run takes the ways in turn, the whole one each of them.
                ways = (
                    [(number + options.seed) % len(_WAYS)]
                    if each
                    else range(len(_WAYS))
                )
                for way in ways:
                    points.try_one(way, point, of_resume=of_resume)
    finally:
        stage.close()
    return told(
        "crash points",
        points.broken.found,
        seed=options.seed,
        **figures,
        tried=points.tried.total(),
        hit=points.hit,
        **points.tried,
        acknowledged=points.acknowledged,
        unresolved=points.unresolved,
        paid_twice=points.paid_twice,
        seconds=round(time.monotonic() - begun_s),
    )


if __name__ == "__main__":
    sys.exit(main())
