"""What is said when a session stopped before its items did? One block.

Why, what is safe, what may have been billed, and the line that goes on.

Floor: faces. Pure.
"""

from runner.api_records import Finish
from runner.display.facts import (
    estimate_words,
    items_words,
    left_words,
    status_cost_words,
    stopped_words,
)
from runner.printable import printable
from runner.run_status import RunStatus, StopKind
from runner.wording import bound, count


def closing_text(
    finish: Finish, *, resume_command: str, export_command: str, key_source: str
) -> str:
    """The closing block of a session that is to be resumed.

    Args:
        finish: how the session ended.
        resume_command: what goes on.
        export_command: what writes the answers there are.
        key_source: where the key came from, told when the server denied everything.
    """
    status, stop = finish.status, finish.stop
    why = printable(stop.message if stop else status.stopped_because or "no reason")
    if stop is not None and stop.kind is StopKind.BUDGET:
        resume_command += " --max-cost USD"  # without it, it would stop as before
    is_as_asked = stop is not None and stop.kind is StopKind.LIMIT
    lines = [
        f"paused: {why}" if is_as_asked else stopped_words(why),
        f"  items    {items_words(status)}, {left_words(status)}",
        f"  answers  all that came are recorded{_answers_words(status)}",
    ]
    if estimate := estimate_words(status):
        lines.append(f"  cost     {status_cost_words(status)}; in all {estimate}")
    if stop and stop.hint:
        lines.append(f"  do       {printable(stop.hint)}")
    if stop and stop.kind is StopKind.DENIED and key_source:
        lines.append(f"  key      {printable(key_source)}")
    return "\n".join(
        [
            *lines,
            f"  go on    {resume_command}",
            f"  so far   {export_command}   (writes the answers there are)",
        ]
    )


def _answers_words(status: RunStatus) -> str:
    """What else may have been billed; only where there is nothing: that all is well."""
    totals = status.totals
    words = [
        f"; {count(number, 'request')} {which} may have been billed"
        f" ({bound(worst)}){what_follows}"
        for number, which, worst, what_follows in (
            (
                status.unresolved,
                "without an answer",
                totals.open_at_most_usd,
                "; a resume asks again",
            ),
            (
                totals.lost,
                "without an answer",
                totals.lost_at_most_usd,
                ", and were asked again",
            ),
            (
                totals.possibly_billed,
                "that failed once sent",
                totals.possibly_billed_at_most_usd,
                "",
            ),
        )
        if number
    ]
    return "".join(words) or ": nothing is lost, none is paid twice"
