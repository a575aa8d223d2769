"""A run of three items in one process, with the disk's calls watched.

The process tells, in a file of its own, what was acknowledged: replies whose settling
returned, items whose outcome was reported as recorded.
"""

import dataclasses
import hashlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import runner.cli
import runner.engines
from runner.checkpoint.entries import Attempt, Outcome
from runner.checkpoint.shard import Shard
from torture.disk_watch import Watch, mark
from torture.forking import Command
from torture.runs import ASKING_AND_CHECKING
from torture.stage import Stage

ITEMS = 3
IN_FLIGHT = 2
SCENARIO = "latency=0.01,latency_spread=0,answer=echo,match=text 1,match_fault=invalid"
OLD = b'{"old": "file"}\n'
_TARGETS = ("items_processed.jsonl", "items_failed.jsonl", "items_summary.json")


@dataclass(frozen=True)
class SmallRun:
    """One run in a folder of its own, on a shared simulator."""

    stage: Stage
    place: Path

    @classmethod
    def made(cls, stage: Stage, place: Path) -> "SmallRun":
        """Items, and files in the place of those that will be written."""
        place.mkdir()
        run = cls(
            dataclasses.replace(stage, folder=place, state=place / "state"), place
        )
        run.stage.items("items", ITEMS)
        for target in _TARGETS:
            (place / target).write_bytes(OLD)
        return run

    @property
    def folder(self) -> Path:
        """Where the run is, once it is one."""
        return self.place / "state" / "items"

    @property
    def acknowledged_path(self) -> Path:
        """Outside the watched folder."""
        return self.place.with_name(f"{self.place.name}-acknowledged.txt")

    def start(self, watch: Watch | None) -> Command:
        """`runner start`, all in one process."""
        words = ["start", str(self.place / "items.jsonl"), *ASKING_AND_CHECKING]
        words += ["--overwrite", "--max-requests", "2", "--min-free", "0"]
        return self._command([*words, "--workers", "1", "--threads", "2"], watch)

    def resume(self, watch: Watch | None) -> Command:
        """`runner resume`, all in one process."""
        return self._command(["resume", "items"], watch)

    def again(self) -> Command:
        """What a person does next: resume it, or start it if there is no run."""
        is_there = (self.folder / "manifest.json").exists()
        return self.resume(None) if is_there else self.start(None)

    def targets(self) -> dict[str, bytes]:
        """The three files as they are."""
        return {name: (self.place / name).read_bytes() for name in _TARGETS}

    def acknowledged(self) -> list[str]:
        """What was told, in order: `answer N A SHA`, `outcome N`."""
        path = self.acknowledged_path
        return path.read_text().splitlines() if path.exists() else []

    def _command(self, words: list[str], watch: Watch | None) -> Command:
        words += ["--state-dir", str(self.stage.state)]

        def work() -> int:
            runner.engines._ENGINES["local"] = "runner.engines.inline"
            descriptor = os.open(
                self.acknowledged_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600
            )
            _tell(lambda text: os.write(descriptor, text.encode("ascii") + b"\n"))
            if watch:
                watch.begin()
            sys.argv = ["runner", *words]
            return runner.cli.main()

        return self.stage.do(work, self.place.with_name(f"{self.place.name}-said.txt"))


def _tell(acknowledge: Callable[[str], object]) -> None:
    settle, record, begin = Shard.settle, Shard.record, Shard.begin

    def told(text: str) -> None:
        acknowledge(text)
        mark(text)

    def begun(self: Shard, attempt: Attempt) -> None:
        begin(self, attempt)
        told(f"begun {attempt.number} {attempt.attempt}")

    def settled(self: Shard, begun: Attempt, settled: Attempt, body: bytes) -> None:
        settle(self, begun, settled, body)
        if settled.is_answer:
            digest = hashlib.sha256(body).hexdigest()
            told(f"answer {begun.number} {begun.attempt} {digest}")

    def recorded(
        self: Shard, outcome: Outcome, result: bytes, replaced: Any, done: Any
    ) -> None:
        def heard(error: Any) -> None:
            if error is None:
                told(f"outcome {outcome.number}")
            done(error)

        record(self, outcome, result, replaced, heard)

    Shard.begin, Shard.settle, Shard.record = begun, settled, recorded  # type: ignore[method-assign]
