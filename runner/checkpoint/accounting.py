"""What each record adds to the totals.

Totals are kept as signed deltas, written in the same transaction as the record
they belong to; the deltas of all records as they stand give the same numbers,
which is how a recount checks them. A delta names only what it changes: three of
them are added per item, and a full Totals costs 10 µs an addition.

Floor: doors and rules. Pure.
"""

from collections.abc import Iterable
from decimal import Decimal

from runner.checkpoint.entries import (
    Attempt,
    InvalidAnswer,
    Outcome,
    key_check,
    number_of,
)
from runner.records import AttemptState, JsonObject, OutcomeState, Totals, Usage

Delta = dict[str, int | Decimal]
"""Field of Totals → what is added to it."""


def delta_of_attempt(attempt: Attempt) -> Delta:
    """What this attempt, as it stands, adds to the totals."""
    if attempt.state is AttemptState.NOT_SENT:
        return {"begun": 1, "not_sent": 1}
    delta: Delta = {"begun": 1, "retried": int(attempt.is_retry)}
    if attempt.follows_invalid:
        add(delta, _invalid(attempt.follows_invalid))
    for old in attempt.supersedes:
        # Unresolved until now; asked again from now on, so lost.
        add(delta, _held("lost", old.worst_usd))
        add(delta, negated(_held("open", old.worst_usd)))
    if attempt.state is AttemptState.OPEN:
        add(delta, _held("open", attempt.worst_usd))
    elif attempt.failure is None:
        add(delta, _answered(attempt))
    elif attempt.failure.possibly_billed:
        add(delta, _held("possibly_billed", attempt.worst_usd))
    return delta


def delta_of_outcome(outcome: Outcome) -> Delta:
    """What this outcome adds; a later generation takes the earlier one's back.

    The item's attempts have told of invalid answers already: of all but the last,
    as a rule. A rejudgement that finds fewer takes back what they told.
    """
    delta: Delta = {
        "invalid_answers": outcome.invalid_answers - outcome.told_invalid_answers,
        "invalid_answers_usd": outcome.invalid_answers_usd - outcome.told_invalid_usd,
    }
    if outcome.state is not OutcomeState.REMOVED:
        delta[str(outcome.state)] = 1
    return delta


def delta_of_key(key: str) -> Delta:
    """What a key adds that was not there before; facts beside records add nothing."""
    kind, _, rest = key.partition("/")
    if kind not in ("a", "o"):
        return {}
    _, _, attempt = rest.partition("/")
    return {"keys": 1, "keys_check": key_check(number_of(key), int(attempt or 0))}


def carried_delta(carried: Iterable[JsonObject]) -> Delta:
    """What a salvage carried over: money and sends of records that were lost."""
    totals: Delta = {}
    for stored in carried:
        add(totals, as_delta(stored))
    return totals


def as_delta(stored: JsonObject) -> Delta:
    """Stored numbers as they can be added up: money is a text."""
    return {
        name: Decimal(value) if isinstance(value, str) else value
        for name, value in stored.items()
    }


def delta_of_end(begun: Attempt, settled: Attempt) -> Delta:
    """What is added when an attempt that was open comes to its end."""
    delta = delta_of_attempt(settled)
    add(delta, negated(delta_of_attempt(begun)))
    return delta


def add(totals: Delta, delta: Delta) -> None:
    """Add `delta` to `totals`, in place."""
    for name, value in delta.items():
        totals[name] = totals.get(name, 0) + value


def negated(delta: Delta) -> Delta:
    """What takes `delta` back."""
    return {name: -value for name, value in delta.items()}


def as_totals(totals: Delta) -> Totals:
    """The same numbers under their names; what is not there is zero."""
    return Totals.from_json({name: str(value) for name, value in totals.items()})


def _invalid(answer: InvalidAnswer) -> Delta:
    return {"invalid_answers": 1, "invalid_answers_usd": answer.cost_usd or Decimal(0)}


def _held(kind: str, worst_usd: Decimal | None) -> Delta:
    if worst_usd is None:
        return {kind: 1} if kind == "unpriced" else {kind: 1, f"{kind}_unpriced": 1}
    return {kind: 1, f"{kind}_usd": worst_usd}


def _answered(attempt: Attempt) -> Delta:
    usage = attempt.usage or Usage()
    delta: Delta = {
        "answered": 1,
        "input_tokens": usage.input_tokens,
        "cached_input_tokens": usage.cached_input_tokens,
        "output_tokens": usage.output_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "uncounted": int(attempt.usage is None),
    }
    if attempt.cost_usd is None:
        return {**delta, **_held("unpriced", attempt.worst_usd)}
    return {**delta, "answers_usd": attempt.cost_usd}
