"""A worker killed every second, in three ways, while one item kills on its own.

First the rate of a calm run is measured; the storm runs at 40 % of it, so that what
a worker's death costs shows as such and not as a lack of processors.
"""

import itertools
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from torture.closing import Options, told
from torture.forking import Command, prepare
from torture.histories import Broken, Ledger, Snapshot, Witness
from torture.stage import Stage

SCENARIO = "latency=1,latency_spread=0,answer=echo"
POISON = 13
_TASK = f"""
import ctypes

def get_prompt(item):
    return "Echo " + item["text"]

def is_response_valid(response, item):
    if item["id"] == "i{POISON}":
        ctypes.string_at(0)  # a null pointer: SIGSEGV
    return response.startswith("Echo text")
"""
_SIZES = ("--workers", 8, "--threads", 8)
_CALM_S = 20.0
_WARM_S = 6.0
_SHARE = 0.4
_LEAST = 0.7
_STALL_S = 5.0
_MEMORY = Path("/sys/fs/cgroup/memory")
_MEMORY_LIMIT = 4 << 20


@dataclass
class Storm:
    """One calm and one stormy run."""

    stage: Stage
    draw: random.Random
    broken: Broken = field(default_factory=Broken)
    killed: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Write the task and read one ledger."""
        self.ledger = Ledger(self.stage.ledger_path)
        self.task = self.stage.folder / "task.py"
        self.task.write_text(_TASK)

    def calm_per_minute(self) -> float:
        """Answers a minute of a run that nobody disturbs."""
        command = self._started("calm", 100_000)
        self.stage.wait_until_busy(command, 60, 30)
        self.stage.pause(_CALM_S)
        ended = time.time()
        command.kill_everything()
        self.stage.wait_until_idle()
        times = self._times("calm")
        return 60 * sum(ended - _CALM_S < at < ended for at in times) / _CALM_S

    def through(self, seconds: float, rpm: int) -> tuple[float, float]:
        """Answers a minute, and the longest time without one, of a stormy run."""
        items = round(rpm / 60 * (seconds + _WARM_S))
        command = self._started("stormy", items, "--rpm", rpm)
        self.stage.wait_until_busy(command, rpm // 60, 30)
        self.stage.pause(_WARM_S)
        begun = time.time()
        ended = self._rage(command, seconds)
        code = command.wait(300)
        self.broken.unless(code == 3, f"ended with {code}: {command.output[-2000:]}")
        times = [begun, *(t for t in self._times("stormy") if begun < t < ended), ended]
        gaps = [later - sooner for sooner, later in itertools.pairwise(times)]
        return 60 * (len(times) - 2) / (ended - begun), max(gaps)

    def audit(self) -> int:
        """Only the poison item is failed; returns how many answers were in vain."""
        witness = Witness(self.stage.state / "stormy", self.ledger, self.broken)
        unresolved = self.stage.status("stormy")["requests"]
        now: Snapshot = witness.look()
        failed = [n for n, (state, _) in now.outcomes.items() if state == "failed"]
        self.broken.unless([POISON] == failed, f"failed: {failed}")
        # Judged once more after each death, not asked again.
        requests = self.ledger.of(witness.run_id)
        billed = {send for send, line in requests.items() if line["billed"]}
        vain = len(billed - set(now.answers))
        lost = unresolved["lost"] + unresolved["unresolved"]
        self.broken.unless(vain <= lost, f"{vain} in vain, {lost} told as lost")
        return vain

    def _started(self, name: str, items: int, *more: object) -> Command:
        path = self.stage.items(name, items)
        asked = ("--task", self.task, "--model", "gpt-4o-mini")
        return self.stage.command("start", path, *asked, *_SIZES, *more, anew=True)

    def _rage(self, command: Command, seconds: float) -> float:
        """Kill a worker every second; when it was over (Unix time)."""
        deadline_s = time.monotonic() + seconds
        with _memory_limit() as join:
            ways = ["SIGKILL", "SIGSEGV", *(["memory"] if join else [])]
            while time.monotonic() < deadline_s and not command.is_over():
                workers = _workers_of(command.pid)
                way = ways[self.killed.total() % len(ways)]
                if workers:
                    self._strike(self.draw.choice(workers), way, join)
                self.stage.pause(1.0)
            # Before the kernel has cleared away what ran out of memory.
            return time.time()

    def _strike(self, worker: int, way: str, join: Path | None) -> None:
        try:
            if way == "memory":
                assert join
                join.write_text(str(worker))
            else:
                os.kill(worker, signal.Signals[way])
        except (ProcessLookupError, OSError):
            return  # it has just ended
        self.killed[way] += 1

    def _times(self, run: str) -> list[float]:
        run_id = Witness(self.stage.state / run, self.ledger, self.broken).run_id
        lines = self.ledger.of(run_id).values()
        return sorted(line["t_unix_s"] for line in lines if line["billed"])


@contextmanager
def _memory_limit() -> Iterator[Path | None]:
    """Where to write the id of a process that shall run out of memory."""
    group = _MEMORY / f"torture-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(_MEMORY_LIMIT))
    except OSError:
        yield None
        return
    try:
        yield group / "cgroup.procs"
    finally:
        deadline_s = time.monotonic() + 60
        while time.monotonic() < deadline_s:
            try:
                group.rmdir()
            except OSError:
                time.sleep(0.1)
            else:
                return


def _workers_of(pid: int) -> list[int]:
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [
            int(child)
            for child in listed
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
        ]
    except (FileNotFoundError, ProcessLookupError):
        return []


def main() -> int:
    """The command."""
    options = Options.read(__doc__, rounds=120, rounds_help="seconds of storm")
    begun_s = time.monotonic()
    prepare()
    storm = Storm(
        Stage.opened(options.folder, SCENARIO, options.seed),
        random.Random(options.seed),
    )
    unless = storm.broken.unless
    try:
        calm = storm.calm_per_minute()
        rpm = round(calm * _SHARE)
        rate, stall_s = storm.through(options.rounds, rpm)
        vain = storm.audit()
    finally:
        storm.stage.close()
    unless(rate >= _LEAST * rpm, f"{rate:.0f} a minute of {rpm}")
    unless(stall_s <= _STALL_S, f"{stall_s:.1f} s without an answer")
    return told(
        "storm",
        storm.broken.found,
        seed=options.seed,
        calm_per_minute=round(calm),
        rpm=rpm,
        answers_per_minute=round(rate),
        share=round(rate / rpm, 2),
        longest_gap_s=round(stall_s, 2),
        killed=storm.killed.total(),
        **storm.killed,
        paid_twice=vain,
        seconds=round(time.monotonic() - begun_s),
    )


if __name__ == "__main__":
    sys.exit(main())
