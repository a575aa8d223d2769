"""SIGKILL to every process of a busy run, again and again, at random moments."""

import statistics
import sys
import time
from dataclasses import dataclass, field
from decimal import Decimal

from torture.closing import Options, told
from torture.runs import Runs


@dataclass
class Kills:
    """What each kill hit."""

    runs: Runs
    hit: list[int] = field(default_factory=list)
    """Requests unresolved after a kill that were not so before it."""
    busy: list[int] = field(default_factory=list)
    """Those of the kills that met a busy run."""

    def round(self) -> None:
        """Start or resume, kill, ask for the status, compare."""
        runs = self.runs
        command = runs.begun()
        was_busy = runs.pass_time(command, 0.5)
        if command.is_over():
            runs.finished(command)
            return
        command.kill_everything()
        self.hit.append(self._found() if runs.is_there() else 0)
        if was_busy:
            self.busy.append(self.hit[-1])

    def _found(self) -> int:
        runs, name = self.runs, self.runs.name
        assert runs.witness
        heard_usd = runs.stage.heard_usd(name)
        status = runs.stage.status(name)
        recorded_usd = Decimal(status["cost_usd"] or 0)
        runs.broken.unless(
            heard_usd <= recorded_usd, f"{name}: told {heard_usd}, has {recorded_usd}"
        )
        hit = runs.witness.killed(status["requests"]["unresolved"])
        runs.broken.unless(hit <= runs.most, f"{name}: a kill hit {hit} requests")
        return hit


def main() -> int:
    """The command."""
    options = Options.read(__doc__, rounds=500)
    begun_s = time.monotonic()
    runs = Runs.opened(
        options.folder,
        seed=options.seed,
        workers=8,
        threads=8,
        items=min(1_500, 100 * options.rounds),
    )
    kills = Kills(runs)
    try:
        while len(kills.hit) < options.rounds:
            kills.round()
        runs.finish()
    finally:
        runs.stage.close()
    mean = statistics.mean(kills.busy)
    runs.broken.unless(mean >= runs.most / 2, f"only {mean} in flight")
    runs.broken.unless(runs.paid_in_vain, "no kill cost anything")
    return told(
        "kill everything",
        runs.broken.found,
        seed=options.seed,
        rounds=len(kills.hit),
        new_programs=runs.anew,
        during_start=runs.early,
        answers=runs.answers,
        paid_twice=runs.paid_in_vain,
        unresolved=sum(kills.hit),
        unresolved_most=max(kills.hit),
        unresolved_mean=round(statistics.mean(kills.hit), 1),
        unresolved_mean_busy=round(mean, 1),
        seconds=round(time.monotonic() - begun_s),
    )


if __name__ == "__main__":
    sys.exit(main())
