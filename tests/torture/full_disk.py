"""The disk of the state fills up at a random moment of a busy run.

Then everything is killed, or the run ends by itself; on the full disk `status` and
`export` to another one have to work, and once there is room a resume has to go on,
with nothing acknowledged lost and nothing that was kept paid for twice.
"""

import contextlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from torture.closing import Options, told
from torture.forking import Command
from torture.runs import Runs

_BLOCK = b"\0" * 4096
_SIZE_MIB = 64
"""A run needs 56 at most: eight logs of 4 MiB, and 256 KiB aside for 64 threads."""
_KILL_SHARE = 0.4
_DRAIN_S = 60.0
_STOPPED = 4
_NO_NEW_SEND_S = 1.0


@dataclass
class Fills:
    """What each full disk led to."""

    runs: Runs
    rounds: int = 0
    killed: int = 0
    hit: int = 0
    """Requests that were unresolved afterwards."""
    not_kept: int = 0
    """Those of them after which nobody was killed: no room was left for the answer."""
    late: int = 0
    most_late: int = 0
    """Requests that came after the run had told why it stops: at most in a round."""
    stops: list[tuple[str, float, float]] = field(default_factory=list)

    @property
    def ballast(self) -> Path:
        """What fills the disk."""
        return self.runs.stage.state / "ballast"

    def round(self) -> None:
        """Start or resume, fill the disk, look at the run, make room."""
        runs = self.runs
        command = runs.begun()
        runs.pass_time(command, 1.0)
        if command.is_over():
            assert runs.witness
            folder = runs.witness.run_folder
            runs.finished(command)
            shutil.rmtree(folder)  # the disk is small
            return
        _fill(self.ballast)
        self.rounds += 1
        self._end(command)
        ended_unix_s = time.time()
        try:
            if runs.is_there():
                self._look(ended_unix_s)
        finally:
            self.ballast.unlink()

    def _end(self, command: Command) -> None:
        if self.runs.draw.random() < _KILL_SHARE:
            self.runs.stage.pause(self.runs.draw.uniform(0, 1))
            self.is_killed = True
            self.killed += 1
            command.kill_everything()
            return
        self.is_killed = False
        code = command.wait(_DRAIN_S)
        # 0 and 3: its last answer was in before.
        self.runs.broken.unless(
            code in (_STOPPED, 0, 3), f"exit {code} on a full disk: {command.output}"
        )

    def _look(self, ended_unix_s: float) -> None:
        runs, stage = self.runs, self.runs.stage
        assert runs.witness
        heard_usd = stage.heard_usd(runs.name)
        status = stage.status(runs.name)
        recorded_usd = Decimal(status["cost_usd"] or 0)
        runs.broken.unless(
            heard_usd <= recorded_usd, f"told {heard_usd}, has {recorded_usd}"
        )
        elsewhere = stage.folder / "elsewhere.jsonl"
        words = ("export", runs.name, "--out", elsewhere, "--overwrite")
        code, output = stage.run(*words)
        runs.broken.unless(code in (0, 3), f"export on a full disk: {code} {output}")
        hit = runs.witness.killed(status["requests"]["unresolved"])
        runs.broken.unless(hit <= runs.most, f"{runs.name}: {hit} unresolved")
        self.hit += hit
        if not self.is_killed:
            self.not_kept += hit
        if code in (0, 3):
            assert runs.witness.before
            done = len(elsewhere.read_bytes().splitlines())
            most = len(runs.witness.before.outcomes)
            runs.broken.unless(done <= most, f"{done} exported of {most} done")
        self._note_stop(ended_unix_s)

    def _note_stop(self, ended_unix_s: float) -> None:
        """When the first worker said, in the log, that nothing can be recorded."""
        assert self.runs.witness
        log = self.runs.witness.run_folder / "runner.log"
        lines = log.read_text().splitlines() if log.exists() else []
        for line in reversed(lines):
            if "session begins" in line:
                return
            if " stops: " in line:
                stopped = time.strptime(line[:19], "%Y-%m-%d %H:%M:%S")
                at_unix_s = time.mktime(stopped) + int(line[20:23]) / 1000
                self.stops.append((self.runs.witness.run_id, at_unix_s, ended_unix_s))
                return

    def count_late(self) -> None:
        """Requests that came after a stop was told."""
        for run_id, stopped, ended in self.stops:
            came = [
                line["received_unix_s"] for line in self.runs.ledger.of(run_id).values()
            ]
            after = sum(stopped < at < ended for at in came)
            self.most_late = max(self.most_late, after)
            self.late += sum(stopped + _NO_NEW_SEND_S < at < ended for at in came)


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of its own; CalledProcessError where nobody may mount one."""
    folder.mkdir(mode=0o700, parents=True)
    options = f"size={_SIZE_MIB}m,mode=0700"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    subprocess.run(command, check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _fill(ballast: Path) -> None:
    with ballast.open("ab", buffering=0) as stream, contextlib.suppress(OSError):
        while True:
            stream.write(_BLOCK)


def main() -> int:
    """The command."""
    options = Options.read(__doc__, rounds=200)
    begun_s = time.monotonic()
    state = options.folder / "small-disk"
    with small_disk(state):
        runs = Runs.opened(
            options.folder,
            seed=options.seed,
            workers=4,
            threads=8,
            items=min(600, 60 * options.rounds),
            state=state,
            more=("--min-free", 0),
        )
        fills = Fills(runs)
        try:
            while fills.rounds < options.rounds:
                fills.round()
            runs.finish()
        finally:
            runs.stage.close()
    fills.count_late()
    runs.broken.unless(not fills.late, f"{fills.late} sends 1 s after a stop")
    runs.broken.unless(
        fills.most_late <= runs.most, f"{fills.most_late} sends after a stop"
    )
    runs.broken.unless(not fills.not_kept, f"{fills.not_kept} answers had no room")
    return told(
        "full disk",
        runs.broken.found,
        seed=options.seed,
        rounds=fills.rounds,
        killed=fills.killed,
        answers=runs.answers,
        unresolved=fills.hit,
        paid_twice=runs.paid_in_vain,
        not_kept=fills.not_kept,
        most_sent_after_stop=fills.most_late,
        sent_1_s_after_stop=fills.late,
        seconds=round(time.monotonic() - begun_s),
    )


if __name__ == "__main__":
    sys.exit(main())
