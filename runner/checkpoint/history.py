"""What is known of an item before its next request: its earlier attempts, summed.

A worker that takes over an item (after a resume, or a colleague's death) goes on
where it stood: next attempt number, answers and failures so far, money spent,
unresolved attempts, and a reply that is on disk but has not been judged.

Floor: doors and rules. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from runner.checkpoint.entries import Attempt, Outcome, Superseded
from runner.records import (
    AttemptState,
    FailureKind,
    Item,
    JsonObject,
    OutcomeState,
    Usage,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """An item's past, as far as its next request needs it."""

    next_attempt: int = 1
    requests: int = 0
    """Sends so far that left, or may have."""
    answers: int = 0
    """Answers that count against the item, all of them judged not valid."""
    failures: int = 0
    """Failures that count against the item: those its last request knew of."""
    usage: Usage | None = field(default_factory=Usage)
    """Sum over its answers; None as soon as one did not say."""
    cost_usd: Decimal | None = Decimal(0)
    """Sum over its answers; None as soon as one has no price."""
    invalid_answers: int = 0
    """All answers that were judged not valid, those before a retry included."""
    invalid_usd: Decimal = Decimal(0)
    """What these cost, where that is known."""
    told_invalid_answers: int = 0
    """Those that a later send has added to the totals."""
    told_invalid_usd: Decimal = Decimal(0)
    """What these cost, where that is known."""
    unresolved: tuple[Superseded, ...] = ()
    unjudged: tuple[int, int] | None = None
    """Slot and attempt of a reply on disk that nobody has judged."""
    replaces: Outcome | None = None
    """The outcome that a retry is to replace."""
    server_failed_it: bool = False
    """That outcome came of requests that failed, while others were answered."""

    def to_json(self) -> JsonObject:
        """For the pipe to a worker."""
        return {
            "next_attempt": self.next_attempt,
            "requests": self.requests,
            "answers": self.answers,
            "failures": self.failures,
            "usage": self.usage and self.usage.to_json(),
            "cost_usd": None if self.cost_usd is None else str(self.cost_usd),
            "invalid_answers": self.invalid_answers,
            "invalid_usd": str(self.invalid_usd),
            "told_invalid_answers": self.told_invalid_answers,
            "told_invalid_usd": str(self.told_invalid_usd),
            "unresolved": [
                [u.attempt, None if u.worst_usd is None else str(u.worst_usd)]
                for u in self.unresolved
            ],
            "unjudged": self.unjudged,
            "replaces": self.replaces and self.replaces.to_json(),
            "server_failed_it": self.server_failed_it,
        }

    @classmethod
    def from_json(cls, stored: JsonObject) -> "History":
        """The inverse of `to_json`."""
        cost, unjudged = stored["cost_usd"], stored["unjudged"]
        usage = stored["usage"]
        return cls(
            next_attempt=stored["next_attempt"],
            requests=stored["requests"],
            answers=stored["answers"],
            failures=stored["failures"],
            usage=None if usage is None else Usage(**usage),
            cost_usd=None if cost is None else Decimal(cost),
            invalid_answers=stored["invalid_answers"],
            invalid_usd=Decimal(stored["invalid_usd"]),
            told_invalid_answers=stored["told_invalid_answers"],
            told_invalid_usd=Decimal(stored["told_invalid_usd"]),
            unresolved=tuple(
                Superseded(attempt=a, worst_usd=None if w is None else Decimal(w))
                for a, w in stored["unresolved"]
            ),
            unjudged=(unjudged[0], unjudged[1]) if unjudged else None,
            replaces=stored["replaces"] and Outcome.from_json(stored["replaces"]),
            server_failed_it=stored["server_failed_it"],
        )


def history_of(attempts: Sequence[Attempt], replaces: Outcome | None = None) -> History:
    """The past of one item.

    Args:
        attempts: All its attempts in all shards, oldest first.
        replaces: Its outcome, where it is asked anew; the answers and failures
            before that outcome no longer count against it, but their cost does.
    """
    server_failed_it = replaces is not None and _server_failed_it(replaces, attempts)
    history = History(replaces=replaces, server_failed_it=server_failed_it)
    for attempt in attempts:
        is_before = replaces is not None and attempt.attempt <= replaces.last_attempt
        history = _with(history, attempt, counts=not is_before)
    unjudged = history.unjudged and history.unjudged[1]
    judged = [a for a in attempts if a.is_answer and a.attempt != unjudged]
    return replace(
        history,
        unresolved=_unresolved(attempts),
        invalid_answers=len(judged),
        invalid_usd=sum((a.cost_usd or Decimal(0) for a in judged), Decimal(0)),
    )


def outcome_of(
    item: Item,
    history: History,
    *,
    state: OutcomeState,
    reason: str | None,
    answer: tuple[int, int] | None = None,
    finished_unix_s: float,
) -> Outcome:
    """What became of an item with this past.

    Args:
        item: The item.
        history: All that was sent for it, and what came back.
        state: What became of it.
        reason: Why it is no other, in one line; None: it is valid.
        answer: Slot and attempt whose reply became the response.
        finished_unix_s: Now.
    """
    return Outcome(
        number=item.ref.number,
        item_id=item.item_id,
        fingerprint=item.ref.fingerprint.hex(),
        state=state,
        generation=history.replaces.generation + 1 if history.replaces else 0,
        last_attempt=history.next_attempt - 1,
        answer=answer,
        requests=history.requests,
        invalid_answers=history.invalid_answers,
        invalid_answers_usd=history.invalid_usd,
        told_invalid_answers=history.told_invalid_answers,
        told_invalid_usd=history.told_invalid_usd,
        reason=reason,
        finished_unix_s=round(finished_unix_s, 3),
    )


def told(history: History, attempt: Attempt) -> History:
    """With the invalid answer that this attempt, which was sent, tells of."""
    answer = attempt.follows_invalid
    if answer is None:
        return history
    return replace(
        history,
        told_invalid_answers=history.told_invalid_answers + 1,
        told_invalid_usd=history.told_invalid_usd + (answer.cost_usd or Decimal(0)),
    )


def with_answer(
    history: History, usage: Usage | None, cost_usd: Decimal | None
) -> History:
    """With what one more answer used and cost; what is unknown stays so."""
    used, spent_usd = history.usage, history.cost_usd
    total = total_usd = None
    if used is not None and usage is not None:
        total = used + usage
    if spent_usd is not None and cost_usd is not None:
        total_usd = spent_usd + cost_usd
    return replace(history, usage=total, cost_usd=total_usd)


def _server_failed_it(outcome: Outcome, attempts: Sequence[Attempt]) -> bool:
    """Whether its last request failed, and that counted: others were answered.

    A refused request, a bug in the task file, a worker that died tell nothing of it.
    """
    return outcome.state is OutcomeState.FAILED and any(
        a.failure_counts and a.failure.kind is not FailureKind.REJECTED
        for a in attempts
        if a.attempt == outcome.last_attempt and a.failure
    )


def _unresolved(attempts: Sequence[Attempt]) -> tuple[Superseded, ...]:
    sent = [a for a in attempts if a.state is not AttemptState.NOT_SENT]
    lost = {old.attempt for a in sent for old in a.supersedes}
    return tuple(
        Superseded(attempt=a.attempt, worst_usd=a.worst_usd)
        for a in sent
        if a.state is AttemptState.OPEN and a.attempt not in lost
    )


def _with(history: History, attempt: Attempt, *, counts: bool) -> History:
    history = replace(history, next_attempt=attempt.attempt + 1)
    if attempt.state is AttemptState.NOT_SENT:
        return history
    history = _judged(replace(history, requests=history.requests + 1))
    history = told(history, attempt)
    if counts:
        # Its own failure is not among them: an outage may have been seen right after,
        # which excuses it, and the session may have ended then.
        history = replace(history, failures=attempt.failures_before)
    return _answered(history, attempt, counts=counts) if attempt.is_answer else history


def _judged(history: History) -> History:
    """A later send shows that the answer before it had been judged not valid."""
    if history.unjudged is None:
        return history
    return replace(history, answers=history.answers + 1, unjudged=None)


def _answered(history: History, attempt: Attempt, *, counts: bool) -> History:
    return replace(
        with_answer(history, attempt.usage, attempt.cost_usd),
        unjudged=(attempt.slot, attempt.attempt) if counts else None,
    )
