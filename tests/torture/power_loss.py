"""What a disk may hold after the power went: the calls of a run, replayed in part.

Every call that changes the disk is written down, with what was acknowledged between
them. A crash state is the disk at one moment: all that was synced until then, and of
the rest as much or as little as chance wants: each write whole, torn at 4 KiB, or not
at all; names created, replaced and removed in their order up to some moment, or not
at all. In each state everything acknowledged by then must be there and the state open.
"""

import os
import random
import shutil
import struct
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from runner.api import Run
from runner.checkpoint import store
from runner.errors import RunnerError
from torture.closing import Options, told
from torture.disk_watch import How, Watch, preloaded
from torture.forking import prepare
from torture.histories import Broken, Snapshot
from torture.small_run import SCENARIO, SmallRun
from torture.stage import Stage

_HEAD = struct.Struct("=cHHQI")
_BLOCK = 4096
_RESUMED_SHARE = 0.03
_NORMAL, _FULL = 1, 2


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One call as `disk_calls.c` wrote it down."""

    what: str
    path: str
    other: str
    at: int
    content: bytes

    @classmethod
    def read(cls, log: bytes) -> Iterator["Call"]:
        """All calls, oldest first."""
        at = 0
        while at < len(log):
            what, first, second, offset, size = _HEAD.unpack_from(log, at)
            at += _HEAD.size
            texts = log[at : at + first], log[at + first : at + first + second]
            path, other = map(os.fsdecode, texts)
            at += first + second
            yield cls(what.decode(), path, other, offset, log[at : at + size])
            at += size


@dataclass
class File:
    """A file's content on the disk, and what was written since its last sync."""

    kept: bytearray = field(default_factory=bytearray)
    waiting: list[Call] = field(default_factory=list)

    def sync(self) -> None:
        """All of it is on the disk."""
        for call in self.waiting:
            _apply(self.kept, call.what, call.at, call.content)
        self.waiting.clear()

    def after_loss(self, draw: random.Random, share: float) -> bytes:
        """The content when the power goes now; each write survives with `share`."""
        content = bytearray(self.kept)
        for call in self.waiting:
            if draw.random() < share:
                torn = call.content
                if len(torn) > _BLOCK and draw.random() < 0.5:
                    torn = torn[: draw.randrange(len(torn) // _BLOCK + 1) * _BLOCK]
                _apply(content, call.what, call.at, torn)
        return bytes(content)


@dataclass
class Disk:
    """A model of one folder: what the names lead to, and what the disk keeps of it."""

    names: dict[str, File | None] = field(default_factory=dict)
    """None: a folder."""
    kept: dict[str, File | None] = field(default_factory=dict)
    waiting: list[Call] = field(default_factory=list)
    """Changes of names that no sync has covered, in order."""
    made: dict[Call, File | None] = field(default_factory=dict)

    def hold(self, path: Path) -> None:
        """A file that was there before, and safe."""
        self.names[str(path)] = self.kept[str(path)] = File(
            bytearray(path.read_bytes())
        )

    def do(self, call: Call) -> None:
        """One call of the process."""
        if call.what in "wta":
            file = self.names.get(call.path)
            if file is not None:
                file.waiting.append(call)
        elif call.what == "s":
            self._sync(call.path)
        else:
            if call.what in "cm":
                self.made[call] = File() if call.what == "c" else None
            self._settle(self.names, call)
            self.waiting.append(call)

    def after_loss(self, draw: random.Random) -> dict[str, bytes | None]:
        """Content by name when the power goes now."""
        names = dict(self.kept)
        # A journal keeps changes of names in their order: up to some moment.
        count = draw.choice((0, len(self.waiting), draw.randint(0, len(self.waiting))))
        for call in self.waiting[:count]:
            self._settle(names, call)
        share = draw.choice((0.0, 0.5, 0.9, 1.0))
        return {
            path: None if file is None else file.after_loss(draw, share)
            for path, file in names.items()
        }

    def _sync(self, path: str) -> None:
        file = self.names.get(path)
        if file is None:
            self._keep(lambda call: str(Path(call.other or call.path).parent) == path)
            return
        file.sync()
        # What keeps a new file's content keeps its name and the folders above it
        # (ext4, xfs, btrfs, apfs), and that an earlier one of that name is gone; a
        # rename, or another file's end, needs the folder synced.
        self._keep(
            lambda call: call.what in "cmu" and f"{path}/".startswith(f"{call.path}/")
        )

    def _keep(self, is_meant: Callable[[Call], bool]) -> None:
        for call in [one for one in self.waiting if is_meant(one)]:
            self.waiting.remove(call)
            self._settle(self.kept, call)

    def _settle(self, names: dict[str, File | None], call: Call) -> None:
        if call.what in "cm":
            names[call.path] = self.made[call]
            return
        below = [p for p in names if f"{p}/".startswith(f"{call.path}/")]
        moved = {path: names.pop(path) for path in below}
        if call.what == "r":
            for path, file in moved.items():
                names[call.other + path[len(call.path) :]] = file


def _apply(content: bytearray, what: str, at: int, written: bytes) -> None:
    """One call's effect: a write, or a new end (cut, or room set aside)."""
    if what == "t":
        del content[at:]
    end = at + len(written)
    content.extend(bytes(max(0, end - len(content))))
    content[at:end] = written


@dataclass
class Losses:
    """The power goes at one moment after the other."""

    run: SmallRun
    calls: list[Call]
    before: dict[Path, bytes]
    draw: random.Random
    broken: Broken = field(default_factory=Broken)
    states: int = 0
    opened: int = 0
    resumed: int = 0
    acknowledged: int = 0

    def all(self, states: int) -> None:
        """So many states, at moments drawn at random, in their order."""
        moments = sorted(self.draw.randint(1, len(self.calls)) for _ in range(states))
        disk, told, done = self._empty(), list[str](), 0
        for moment in [*moments, len(self.calls)]:
            for call in self.calls[done:moment]:
                if call.what == "!":
                    told.append(call.path)
                else:
                    disk.do(call)
            done = moment
            self._lose(disk, told, moment)

    def _empty(self) -> Disk:
        for path, content in self.before.items():
            path.write_bytes(content)
        disk = Disk()
        for path in self.before:
            disk.hold(path)
        return disk

    def _lose(self, disk: Disk, told: list[str], moment: int) -> None:
        self.states += 1
        self._put(disk.after_loss(self.draw))
        where = f"after call {moment}"
        if not (self.run.folder / "manifest.json").exists():
            self.broken.unless(not told, f"{where}: no run, but told {told[-3:]}")
            return
        try:
            self.opened += 1
            Run(self.run.folder).status()
            self._compare(Snapshot.of(self.run.folder), told, where)
            if self.draw.random() < _RESUMED_SHARE:
                self._resume(told, where)
        except RunnerError as error:
            self.broken.unless(False, f"{where}: {error}")

    def _resume(self, told: list[str], where: str) -> None:
        self.resumed += 1
        command = self.run.resume(None)
        code = command.wait()
        self.broken.unless(code in (0, 3), f"{where}: exit {code} {command.output}")
        self._compare(Snapshot.of(self.run.folder), told, where)

    def _compare(self, now: Snapshot, told: list[str], where: str) -> None:
        self.broken.unless(now.recounts, f"{where}: a recount differs")
        for line in told:
            kind, number, *more = line.split()
            send = (int(number), int(more[0]) if more else 0)
            answer = now.answers.get(send)
            is_there = {
                "begun": send in now.begun,
                "answer": answer and answer.sha256 == more[-1],
                "outcome": int(number) in now.outcomes,
            }[kind]
            self.broken.unless(is_there, f"{where}: lost {line}")
            self.acknowledged += 1

    def _put(self, contents: dict[str, bytes | None]) -> None:
        shutil.rmtree(self.run.place)
        for name, content in contents.items():
            path = Path(name)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if content is None:
                path.mkdir(mode=0o700, exist_ok=True)
            else:
                path.write_bytes(content)
                path.chmod(0o600)


def written_down(stage: Stage, folder: Path, *, synchronous: int) -> Losses:
    """One undisturbed run, with every call of it."""
    run = SmallRun.made(stage, folder / "run")
    before = {path: path.read_bytes() for path in run.place.iterdir()}
    log = folder / "calls.bin"
    store.SETTINGS = {**store.SETTINGS, "sqlite_synchronous": synchronous}
    store._PRAGMAS["synchronous"] = synchronous
    command = run.start(Watch(run.place, How.WRITE_DOWN, log=log))
    code = command.wait()
    assert code in (0, 3), command.output
    calls = list(Call.read(log.read_bytes()))
    return Losses(run, calls, before, random.Random(stage.seed))


def main() -> int:
    """The command; with --broken it has to find what NORMAL syncing loses."""
    is_broken = "--broken" in sys.argv
    options = Options.read(__doc__, rounds=3_000, more=("--broken",))
    preloaded("torture.power_loss")
    begun_s = time.monotonic()
    prepare()
    stage = Stage.opened(options.folder, SCENARIO, options.seed)
    try:
        losses = written_down(
            stage, options.folder, synchronous=_NORMAL if is_broken else _FULL
        )
        losses.all(options.rounds)
    finally:
        stage.close()
    found = losses.broken.found
    if is_broken:
        found = [] if found else ["NORMAL lost nothing: this proves nothing"]
    return told(
        "power loss" + (" with synchronous=NORMAL" if is_broken else ""),
        found,
        seed=options.seed,
        calls=len(losses.calls),
        states=losses.states,
        opened=losses.opened,
        resumed=losses.resumed,
        acknowledged=losses.acknowledged,
        violations=len(losses.broken.found),
        seconds=round(time.monotonic() - begun_s),
    )


if __name__ == "__main__":
    sys.exit(main())
