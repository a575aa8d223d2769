"""What do the commands do that change a run but send nothing: export, rejudge, stop?

Floor: faces. Knows api and display.
"""

import sys
import threading
from pathlib import Path

from runner import api, display
from runner.api_records import Rejudged
from runner.cli.bundles import ExportOptions, RejudgeOptions
from runner.cli.commanding import command_line
from runner.cli.configuring import rules_of
from runner.clock import Clock, SystemClock
from runner.config import Format
from runner.exit_codes import ALL_VALID, INTERRUPTED
from runner.printable import printable
from runner.task import rules_in_force
from runner.wording import count

_LOOK_S = 0.2
_TELL_S = 10.0


def export(name: str | None, given: ExportOptions) -> int:
    """Write the three files as of now."""
    run = api.Run.open(name, given.place.state_dir)
    files = given.files
    with display.Screen(sys.stderr) as screen:
        summary = run.export(
            processed_path=files.out,
            format=Format(files.format or Format.JSONL),
            overwrite=files.overwrite,
            on_progress=screen.progress,
        )
    path = files.out or run.config.output.processed_path
    display.print_summary(summary, path.parent, display.outlet(sys.stdout))
    return ALL_VALID


def rejudge(name: str | None, given: RejudgeOptions) -> int:
    """Judge stored answers by a new rule, for free."""
    changes, state_dir = rules_of(given), given.place.state_dir
    run = api.Run.open(name, state_dir)
    try:
        with display.Screen(sys.stderr) as screen:
            judged = run.rejudge(changes, on_progress=screen.progress)
    except KeyboardInterrupt:
        err = display.outlet(sys.stderr)
        err.write("interrupted: nothing was sent; the same command does all of it\n")
        err.flush()
        return INTERRUPTED
    display.tell(
        f"{_rejudged_words(judged)}\n"
        f"  by the rules     {display.rules_words(rules_in_force(run.config.task))}\n"
        f"  write the files  {command_line('export', run.name, state_dir)}"
    )
    if run.status().totals.invalid:
        again = command_line("resume", run.name, state_dir, "--retry-invalid")
        display.tell(f"  ask invalid ones {again}")
    return ALL_VALID


def stop(name: str | None, state_dir: Path, clock: Clock | None = None) -> int:
    """Have a run drain, and wait until it has."""
    # Without a name not the latest one, as elsewhere: that may be at rest.
    run = api.Run.open(name, state_dir) if name else api.Run.at_work(state_dir)
    if run is None or not run.stop():
        which = "any run here" if run is None else f"run {printable(run.name)}"
        display.tell(f"no session is at work on {which}")
        return ALL_VALID
    display.tell("stopping: nothing new starts, answers under way are recorded")
    _wait(run, clock or SystemClock())
    display.print_status(run.status(), display.outlet(sys.stdout))
    return ALL_VALID


def _rejudged_words(judged: Rejudged) -> str:
    return (
        f"{count(judged.judged, 'stored answer')} judged, nothing was sent:"
        f" {count(judged.changed_to_valid, 'item')} became valid,"
        f" {count(judged.changed_to_invalid, 'item')} became invalid,"
        f" {count(judged.another_answer, 'item has', 'items have')}"
        " another answer"
    )


def _wait(run: api.Run, clock: Clock) -> None:
    never, told_s = threading.Event(), clock.monotonic_s()
    while (status := run.status()).state.is_at_work:
        if clock.monotonic_s() - told_s >= _TELL_S:
            told_s = clock.monotonic_s()
            display.tell(f"waiting for {count(status.in_flight, 'answer')}")
        clock.wait(never, _LOOK_S)
