"""SIGKILL to the supervisor alone: its workers record what is in flight, and end."""

import os
import signal
import sys
import time
from dataclasses import dataclass, field

from torture.closing import Options, told
from torture.forking import Command
from torture.runs import Runs

_DRAIN_S = 30.0
_LOCKED = 5
_NO_NEW_SEND_S = 1.0


@dataclass
class Widows:
    """What the workers of a dead supervisor did."""

    runs: Runs
    rounds: int = 0
    in_flight: int = 0
    refused: int = 0
    let_in: int = 0
    """Rounds in which nobody recorded any more, or yet, when the next one resumed."""
    slowest_s: float = 0.0
    silences: list[tuple[str, float, float]] = field(default_factory=list)
    """Run, and from when until when (Unix seconds) nothing may have been sent."""

    def round(self) -> None:
        """Start or resume, kill the supervisor, try to resume, wait for the drain."""
        runs = self.runs
        command = runs.begun()
        runs.pass_time(command, 0.5)
        if command.is_over():
            runs.finished(command)
            return
        self.in_flight += runs.stage.in_flight()
        os.kill(command.pid, signal.SIGKILL)
        killed_unix_s = time.time()
        self.rounds += 1
        was_let_in = self._resumed_meanwhile()
        self._waited_for(command)
        self.slowest_s = max(self.slowest_s, time.time() - killed_unix_s)
        if not runs.is_there():
            return
        assert runs.witness
        if not was_let_in:
            silence = (killed_unix_s + _NO_NEW_SEND_S, time.time())
            self.silences.append((runs.witness.run_id, *silence))
        unresolved = runs.stage.status(runs.name)["requests"]["unresolved"]
        hit = runs.witness.killed(unresolved)
        runs.broken.unless(hit == 0, f"{runs.name}: {hit} requests unresolved")

    def _resumed_meanwhile(self) -> bool:
        """A second session must not begin while one worker may still record.

        Returns whether it was let in: where nothing was in flight any more, or yet.
        """
        if not (self.runs.witness and self.runs.witness.run_folder.exists()):
            return False
        # One item at most: should it be let in, it must end soon.
        words = ("resume", self.runs.name, "--limit", 1)
        code = self.runs.stage.command(*words).wait()
        self.refused += code == _LOCKED
        if code != _LOCKED:
            self.let_in += 1
            # The second has ended: what is in flight now is the first one's.
            in_flight = self.runs.stage.in_flight()
            self.runs.broken.unless(
                not in_flight, f"{self.runs.name}: let in ({code}) beside {in_flight}"
            )
        return code != _LOCKED

    def _waited_for(self, command: Command) -> None:
        deadline_s = time.monotonic() + _DRAIN_S
        while not command.is_gone():
            if time.monotonic() > deadline_s:
                self.runs.broken.unless(False, f"{self.runs.name}: workers stay")
                command.kill_everything()
            time.sleep(0.005)

    def sent_late(self) -> int:
        """Requests that came in a silence."""
        ledger = self.runs.ledger
        return sum(
            begin < line["received_unix_s"] < end
            for run_id, begin, end in self.silences
            for line in ledger.of(run_id).values()
        )


def main() -> int:
    """The command."""
    options = Options.read(__doc__, rounds=300)
    begun_s = time.monotonic()
    runs = Runs.opened(
        options.folder,
        seed=options.seed,
        workers=8,
        threads=8,
        items=min(1_500, 100 * options.rounds),
    )
    widows = Widows(runs)
    try:
        while widows.rounds < options.rounds:
            widows.round()
        runs.finish()
    finally:
        runs.stage.close()
    late = widows.sent_late()
    runs.broken.unless(not late, f"{late} sends after {_NO_NEW_SEND_S} s")
    runs.broken.unless(not runs.paid_in_vain, f"{runs.paid_in_vain} paid in vain")
    runs.broken.unless(widows.refused, "no resume was refused")
    return told(
        "kill the supervisor",
        runs.broken.found,
        seed=options.seed,
        rounds=widows.rounds,
        new_programs=runs.anew,
        during_start=runs.early,
        answers=runs.answers,
        in_flight_mean=round(widows.in_flight / widows.rounds, 1),
        paid_twice=runs.paid_in_vain,
        sent_after_1_s=late,
        resumes_refused=widows.refused,
        let_in_after_the_drain=widows.let_in,
        slowest_drain_s=round(widows.slowest_s, 2),
        seconds=round(time.monotonic() - begun_s),
    )


if __name__ == "__main__":
    sys.exit(main())
