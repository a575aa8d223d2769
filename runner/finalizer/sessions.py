"""What did each start and resume add?

A session goes from the totals it found to those the next one found (the last one:
to those of now). So the parts always add up to the whole, also when a session
died without noting its end, and after a rejudgement: that counts with the session
whose answers it judged anew.

Floor: the run. Pure.
"""

from collections.abc import Sequence

from runner.records import JsonObject, Totals
from runner.summary import SessionSummary


def session_summaries(
    stored: Sequence[JsonObject], totals: Totals, working_until_unix_s: float | None
) -> tuple[SessionSummary, ...]:
    """The sessions of a run, oldest first.

    Args:
        stored: As noted in shard 0.
        totals: The run's totals now.
        working_until_unix_s: Now, when the last session is still at work;
            None when nothing works on the run.
    """
    found = [Totals.from_json(session["totals_before"]) for session in stored]
    left = [*found[1:], totals]
    last = len(stored) - 1
    return tuple(
        _summary(
            session,
            left[at] + -found[at],
            working_until_unix_s if at == last else None,
        )
        for at, session in enumerate(stored)
    )


def _summary(
    session: JsonObject, added: Totals, working_until_unix_s: float | None
) -> SessionSummary:
    ended_unix_s = session.get("ended_unix_s")
    until_unix_s = working_until_unix_s if ended_unix_s is None else ended_unix_s
    return SessionSummary(
        session=session["session"],
        started_unix_s=session["started_unix_s"],
        ended_unix_s=ended_unix_s,
        duration_s=_duration_s(session["started_unix_s"], until_unix_s),
        stopped_because=session.get("stopped_because"),
        workers=session.get("workers"),
        threads=session.get("threads"),
        rpm=session.get("rpm"),
        tpm=session.get("tpm"),
        totals=added,
    )


def _duration_s(started_unix_s: float, until_unix_s: float | None) -> float | None:
    if until_unix_s is None or until_unix_s < started_unix_s:
        return None
    return round(until_unix_s - started_unix_s, 3)
