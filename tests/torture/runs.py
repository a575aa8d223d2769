"""One run after the other on a stage, begun, gone on with, and audited in the end."""

from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from torture.forking import Command, prepare
from torture.histories import Broken, Ledger, Witness
from torture.stage import Stage

BUSY_SCENARIO = (
    "latency=0.45,latency_spread=0.4,answer=echo,invalid=0.1,error_500=0.02,cached=0.2"
)
ASKING = ("--model", "gpt-4o-mini", "--prompt", "Echo {{text}}")
ASKING_AND_CHECKING = (*ASKING, "--valid-regex", "^Echo text")
# Reached only where the machine is slow to start nine processes.
BUSY_S = 60.0
_EARLY_SHARE = 0.08
_EARLY_S = 1.2


@dataclass
class Runs:
    """The run of the moment, and what came of all before it."""

    stage: Stage
    workers: int
    threads: int
    items: int
    draw: Random
    anew_share: float = 0.05
    """Rounds in which the command is a new program, with spawned workers."""
    more: tuple[object, ...] = ()
    """Further words of a start, and of a resume."""
    broken: Broken = field(default_factory=Broken)
    answers: int = 0
    paid_in_vain: int = 0
    early: int = 0
    """Commands struck at a moment of their start-up."""
    anew: int = 0
    runs: int = 0
    witness: Witness | None = None

    @classmethod
    def opened(  # noqa: PLR0913 - one for each fact
        cls,
        folder: Path,
        *,
        seed: int,
        workers: int,
        threads: int,
        items: int,
        scenario: str = BUSY_SCENARIO,
        state: Path | None = None,
        more: tuple[object, ...] = (),
    ) -> "Runs":
        """Runs on a stage of their own."""
        prepare()
        stage = Stage.opened(folder, scenario, seed)
        stage.state = state or stage.state
        return cls(stage, workers, threads, items, Random(seed), more=more)

    def __post_init__(self) -> None:
        """Read one ledger for all runs."""
        self.ledger = Ledger(self.stage.ledger_path)

    @property
    def most(self) -> int:
        """Requests in flight at most."""
        return self.workers * self.threads

    @property
    def name(self) -> str:
        """The run of the moment."""
        assert self.witness
        return self.witness.run_folder.name

    def begun(self) -> Command:
        """Resume the run of the moment, or start the next one."""
        anew = self.draw.random() < self.anew_share
        self.anew += anew
        sizes = ["--workers", self.workers, "--threads", self.threads]
        if self.witness:
            words = ["resume", self.name, *sizes, *self.more]
            return self.stage.command(*words, anew=anew)
        self.runs += 1
        name = f"run{self.runs}"
        self.witness = Witness(self.stage.state / name, self.ledger, self.broken)
        items = self.stage.items(name, self.items)
        words = ["start", str(items), *ASKING_AND_CHECKING, *sizes, *self.more]
        return self.stage.command(*words, anew=anew)

    def pass_time(self, command: Command, spread_s: float) -> bool:
        """Until the run is busy and a random moment longer; at times only a moment.

        Returns whether the run has been busy: not at those times.
        """
        if self.draw.random() < _EARLY_SHARE:
            self.early += 1
            self.stage.pause(self.draw.uniform(0, _EARLY_S))
            return False
        self.stage.wait_until_busy(command, self.most * 3 // 4, BUSY_S)
        self.stage.pause(self.draw.uniform(0, spread_s))
        return True

    def is_there(self) -> bool:
        """Whether the run came into being; else the next command starts another."""
        assert self.witness
        if not self.witness.run_folder.exists():
            self.witness = None
        return self.witness is not None

    def finished(self, command: Command) -> None:
        """The command came to its end: audit the run."""
        assert self.witness
        code = command.wait()
        self.broken.unless(code in (0, 3), f"ended with {code}: {command.output}")
        self.stage.wait_until_idle()
        self.paid_in_vain += self.witness.audit()
        assert self.witness.before
        self.answers += len(self.witness.before.answers)
        done = len(self.witness.before.outcomes)
        self.broken.unless(done == self.items, f"{done} of {self.items} items done")
        self.witness = None

    def finish(self) -> None:
        """Go on with the run of the moment to its end."""
        if self.witness:
            self.finished(self.begun())
