"""What is there to say about a run? One list of labelled lines, for every face.

Floor: faces. Pure: from a RunStatus to words. Knows records and wording.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from runner.display.bill import cost_words, requests_words, tokens_words
from runner.printable import printable
from runner.run_status import RunState, RunStatus, SlowItem
from runner.wording import (
    bound,
    count,
    duration,
    moment,
    percent,
    rate,
    shortened,
    usd,
)

_WHY_COLUMNS = 60
_SLOW_S = 10.0
"""Younger calls are nobody's concern."""
_NOW_S = 0.5
"""Rounded it would be 0 s."""
_FEW_LEFT = 20
"""So few may all be items that the server fails at."""
_STALE_S = 10.0
"""The heartbeat is written every second; so much later something is wrong."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A label and what stands beside it."""

    label: str
    text: str
    tone: str = ""
    """How it is painted where colours are shown: `good`, `careful`, `bad`."""


def facts_of(status: RunStatus, *, now_unix_s: float | None = None) -> list[Fact]:
    """All lines of `runner status`."""
    now = time.time() if now_unix_s is None else now_unix_s
    name = printable(status.run) + (" (simulated)" if status.simulated else "")
    return [
        Fact("run", name),
        state_fact(status),
        Fact("items", f"{items_words(status)}, {left_words(status)}"),
        *_verdicts(status),
        Fact("requests", requests_words(status.totals)),
        *_unresolved(status),
        Fact("tokens", tokens_words(status.totals)),
        Fact("cost", status_cost_words(status)),
        *estimate_facts(status),
        *(_at_work(status) if status.state.is_at_work else []),
        Fact("started", moment(status.started_unix_s)),
        *_last_sign(status, now),
    ]


def state_fact(status: RunStatus) -> Fact:
    """What the run is doing, and why it ended."""
    why = printable(status.stopped_because or "")
    match status.state:
        case RunState.NEW:
            return Fact("state", "new: not started yet; a resume begins", "careful")
        case RunState.RUNNING:
            return Fact("state", "running", "good")
        case RunState.DRAINING:
            words = "draining: nothing new starts"
            if status.in_flight:
                words += ", answers under way are recorded"
            # In full it is said at the end, once.
            because = f" ({shortened(why, _WHY_COLUMNS)})" if why else ""
            return Fact("state", f"{words}{because}", "careful")
        case RunState.FINISHED:
            return Fact("state", "finished: every item has its outcome", "good")
        case RunState.STOPPED:
            return Fact("state", stopped_words(why), "careful")
        case RunState.DEAD:
            words = (
                "dead: its process is gone; what was recorded is safe, a resume goes on"
            )
            return Fact("state", words, "bad")


def items_words(status: RunStatus) -> str:
    """`4,812 of 10,000 (48 %): 4,790 valid, 14 invalid, 8 failed`."""
    done = status.items - status.left
    of_all = f"{count(done)} of {count(status.items)} ({percent(done, status.items)})"
    return f"{of_all}: {kinds_words(status)}"


def left_words(status: RunStatus) -> str:
    """`5,188 pending`, and what is asked although it has an outcome."""
    return ", ".join([f"{count(status.pending)} pending", *anew_words(status)])


def anew_words(status: RunStatus) -> list[str]:
    """`22 to be asked again`, where there are any."""
    return [f"{count(status.anew)} to be asked again"] if status.anew else []


def kinds_words(status: RunStatus) -> str:
    """`4,790 valid, 14 invalid, 8 failed`."""
    totals = status.totals
    return (
        f"{count(totals.valid)} valid, {count(totals.invalid)} invalid,"
        f" {count(totals.failed)} failed"
    )


def status_cost_words(status: RunStatus) -> str:
    """Recorded dollars, and at most; whether they are real ones."""
    return cost_words(status.totals, "simulated prices" if status.simulated else None)


def estimate_facts(status: RunStatus) -> list[Fact]:
    """What the whole will cost, where that can be guessed."""
    words = estimate_words(status)
    return [] if words is None else [Fact("in all", words)]


def estimate_words(status: RunStatus) -> str | None:
    """`about $2.57, if the items left are like those done`."""
    estimate_usd = status.cost_estimate_usd
    if estimate_usd is None:
        return None
    return f"about {usd(estimate_usd)}, if the items left are like those done"


def speed_words(status: RunStatus) -> str:
    """Requests and tokens a minute, against their limits; empty while unknown."""
    pace = status.pace
    words = [
        rate(per_minute, what, limit)
        for per_minute, what, limit in (
            (status.requests_per_minute, "requests", pace.rpm_limit),
            (status.tokens_per_minute, "tokens", pace.tpm_limit),
        )
        if per_minute is not None
    ]
    if pace.rpd_limit:
        words.append(f"{count(pace.rpd_limit)} requests a day")
    return ", ".join(words)


def waiting_words(status: RunStatus) -> str | None:
    """What holds the run back, and when it goes on."""
    pace = status.pace
    if pace.waiting_for is None:
        return None
    words = printable(pace.waiting_for)
    if pace.is_out and 0 < status.left <= _FEW_LEFT:
        words += f" (only {count(status.left, 'item')} left to ask)"
    if pace.next_try_s is not None:
        is_now = pace.next_try_s < _NOW_S
        words += (
            ", next try now" if is_now else f", next try in {duration(pace.next_try_s)}"
        )
    return words


def stopped_words(why: str) -> str:
    """`stopped: ...`, said once."""
    if not why or why.startswith("stopped"):
        return why or "stopped"
    return f"stopped: {why}"


def slowest_words(status: RunStatus) -> str | None:
    """The oldest calls in flight, where they are worth a word."""
    slow = [item for item in status.slowest if item.age_s >= _SLOW_S]
    return ", ".join(map(_slow_words, slow)) or None


def _slow_words(item: SlowItem) -> str:
    where = "a removed item" if item.line is None else f"line {item.line}"
    return f"{where} (attempt {item.attempt}) {duration(item.age_s)}"


def in_flight_words(status: RunStatus) -> str:
    """Requests under way, and how many there may be now."""
    words = count(status.in_flight, "request")
    if status.in_flight_target is None:
        return words
    return f"{words}, of at most {count(status.in_flight_target)} now"


def left_facts(status: RunStatus) -> list[Fact]:
    """How long it will take; never a guess where nothing is known."""
    if status.state is not RunState.DRAINING:
        eta = "not known yet" if status.eta_s is None else duration(status.eta_s)
        return [Fact("ETA", eta)]
    if not status.in_flight:
        return []
    answers = count(status.in_flight, "answer")
    # Whoever is impatient pays for them and has nothing.
    words = f"for {answers} under way (Ctrl-C again gives up what may be billed)"
    return [Fact("waiting", words, "careful")]


def _verdicts(status: RunStatus) -> Iterator[Fact]:
    if status.is_half_judged:
        words = (
            "some are still those of the rule before: `runner rejudge` finishes that,"
            " and sends nothing"
        )
        yield Fact("verdicts", words, "careful")


def _unresolved(status: RunStatus) -> Iterator[Fact]:
    totals = status.totals
    if status.unresolved:
        # What is done by now, by a rejudgement or for good, is asked by nobody.
        then = "; a resume asks them again" if status.left else ""
        words = (
            f"{count(status.unresolved, 'request')} may have been billed without an"
            f" answer{then}"
        )
        if not status.in_flight:
            worst_usd = totals.open_at_most_usd
            words += f" ({bound(worst_usd)})"
        yield Fact("unresolved", words, "careful")
    if totals.lost:
        worst_usd = totals.lost_at_most_usd
        yield Fact(
            "lost",
            f"{count(totals.lost, 'unresolved request')} asked again"
            f" ({bound(worst_usd)})",
            "careful",
        )


def _at_work(status: RunStatus) -> Iterator[Fact]:
    if speed := speed_words(status):
        yield Fact("speed", speed)
    yield Fact("in flight", in_flight_words(status))
    waiting, slowest = waiting_words(status), slowest_words(status)
    if waiting and status.state is RunState.RUNNING:
        yield Fact("waiting", waiting, "careful")
    if slowest:
        yield Fact("slowest", slowest)
    yield from left_facts(status)


def _last_sign(status: RunStatus, now_unix_s: float) -> Iterator[Fact]:
    if status.heartbeat_unix_s is None:
        return
    age_s = now_unix_s - status.heartbeat_unix_s
    if not status.state.is_at_work:
        yield Fact("last sign", moment(status.heartbeat_unix_s))
    elif age_s > _STALE_S:
        yield Fact("last sign", f"{duration(age_s)} ago: it does not move", "bad")
