"""Totals are exact at every moment: they equal a recount of all records."""

import contextlib
import dataclasses
import decimal
from decimal import Decimal
from pathlib import Path

from checkpoint_builders import answered, begun, failed, outcome
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from runner.checkpoint.accounting import (
    Delta,
    add,
    as_totals,
    delta_of_attempt,
    delta_of_outcome,
    negated,
)
from runner.checkpoint.entries import (
    Attempt,
    InvalidAnswer,
    Outcome,
    Superseded,
)
from runner.checkpoint.history import History, history_of
from runner.checkpoint.reading import RunReader
from runner.checkpoint.shard import Shard, create_shard
from runner.records import (
    AttemptState,
    Failure,
    FailureKind,
    OutcomeState,
    Totals,
)

NOT_SENT = Failure(kind=FailureKind.NOT_SENT, message="refused")
SERVER = Failure(kind=FailureKind.SERVER, message="500")
TIMEOUT = Failure(kind=FailureKind.TIMEOUT, message="late", possibly_billed=True)


def recount(attempts: list[Attempt], outcomes: list[Outcome]) -> Totals:
    """What the records say, each as it stands."""
    totals: Delta = {}
    for attempt in attempts:
        add(totals, delta_of_attempt(attempt))
    for entry in outcomes:
        add(totals, delta_of_outcome(entry))
    return as_totals(totals)


class Bookkeeping(RuleBasedStateMachine):
    """Any order of sends, ends, crashes and outcomes over five items."""

    @initialize()
    def begin(self) -> None:
        """An empty shard's books."""
        self.totals: Delta = {}
        self.attempts: dict[int, list[Attempt]] = {n: [] for n in range(5)}
        self.outcomes: dict[int, Outcome] = {}
        self.in_flight: dict[int, Attempt] = {}

    @rule(number=st.integers(0, 4), priced=st.booleans())
    def send(self, number: int, priced: bool) -> None:
        """An attempt is begun; it asks unresolved ones again."""
        if number in self.in_flight:
            return
        history = history_of(self.attempts[number])
        attempt = begun(
            number,
            history.next_attempt,
            is_retry=history.requests > 0,
            supersedes=history.unresolved,
            follows_invalid=self.untold(number),
            worst_usd=Decimal("0.02") if priced else None,
        )
        add(self.totals, delta_of_attempt(attempt))
        self.attempts[number].append(attempt)
        self.in_flight[number] = attempt

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data())
    def come_back(self, data: st.DataObject) -> None:
        """An answer, a failure, or never sent."""
        number = data.draw(st.sampled_from(sorted(self.in_flight)))
        attempt = self.in_flight.pop(number)
        end = data.draw(
            st.sampled_from(
                [
                    answered(attempt),
                    answered(attempt, cost=None),
                    failed(attempt, NOT_SENT),
                    failed(attempt, SERVER),
                    failed(attempt, TIMEOUT),
                    dataclasses.replace(attempt, state=AttemptState.NOT_SENT),
                ]
            )
        )
        add(self.totals, delta_of_attempt(end))
        add(self.totals, negated(delta_of_attempt(attempt)))
        self.attempts[number][-1] = end

    @rule()
    def crash(self) -> None:
        """All processes die: what was in flight is unresolved."""
        self.in_flight.clear()

    @rule(number=st.integers(0, 4), state=st.sampled_from(OutcomeState))
    def finish(self, number: int, state: OutcomeState) -> None:
        """An outcome, or a later one in its place."""
        if number in self.in_flight:
            return
        old = self.outcomes.get(number)
        past = history_of(self.attempts[number])
        new = outcome(
            number,
            state=state,
            generation=old.generation + 1 if old else 0,
            last_attempt=past.next_attempt - 1,
            invalid_answers=number,
            invalid_answers_usd=Decimal(number) / 1000,
            told_invalid_answers=past.told_invalid_answers,
            told_invalid_usd=past.told_invalid_usd,
        )
        add(self.totals, delta_of_outcome(new))
        if old:
            add(self.totals, negated(delta_of_outcome(old)))
        self.outcomes[number] = new

    def untold(self, number: int) -> InvalidAnswer | None:
        """The last answer, if no send and no outcome has told that it is invalid."""
        done = self.outcomes.get(number)
        unjudged = history_of(self.attempts[number], replaces=done).unjudged
        if unjudged is None:
            return None
        answer = self.attempts[number][unjudged[1] - 1]
        return InvalidAnswer(attempt=answer.attempt, cost_usd=answer.cost_usd)

    @invariant()
    def invalid_answers_are_those_of_the_outcome_and_those_asked_again_since(
        self,
    ) -> None:
        """Each is counted once, also when its successor never left."""
        expected = 0
        for number, some in self.attempts.items():
            done = self.outcomes.get(number)
            since = [
                a
                for a in some
                if a.follows_invalid
                and a.state is not AttemptState.NOT_SENT
                and a.attempt > (done.last_attempt if done else 0)
            ]
            expected += len(since) + (done.invalid_answers if done else 0)
        assert as_totals(self.totals).invalid_answers == expected

    @invariant()
    def totals_equal_a_recount(self) -> None:
        """Exact after every step, in every order."""
        everything = [a for some in self.attempts.values() for a in some]
        counted = recount(everything, list(self.outcomes.values()))
        assert counted == as_totals(self.totals)

    @invariant()
    def nothing_is_unresolved_and_lost_at_once(self) -> None:
        """Open ones are those no later send has asked again."""
        open_ones = sum(
            len(history_of(some).unresolved) for some in self.attempts.values()
        )
        totals = as_totals(self.totals)
        sent = [a for some in self.attempts.values() for a in some]
        still_open = sum(a.state is AttemptState.OPEN for a in sent)
        assert open_ones == totals.open
        assert still_open == totals.open + totals.lost


TestBookkeeping = Bookkeeping.TestCase
TestBookkeeping.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None
)


def test_totals_survive_closing_and_add_up_over_shards(tmp_path: Path) -> None:
    """Also when an attempt is begun in one shard and asked again in another."""
    for slot in (1, 2):
        create_shard(tmp_path, "run-a", slot)
    first, second = Shard(tmp_path, 1), Shard(tmp_path, 2)
    first.begin(begun(0))
    first.close()
    again = begun(
        0,
        2,
        slot=2,
        supersedes=(Superseded(attempt=1, worst_usd=Decimal("0.01")),),
    )
    second.begin(again)
    second.settle(again, answered(again), b"{}")
    second.record_now(outcome(0), b"{}", None)
    second.close()

    reader = RunReader(tmp_path, "run-a", [1, 2], live=False)
    totals = reader.totals()
    left = list(reader.unresolved())
    reader.close()

    assert (0, 1, 1, 1) == (totals.open, totals.lost, totals.answered, totals.valid)
    assert Decimal("0.011") == totals.at_most_usd
    assert [] == left


def test_a_stored_reply_that_nobody_judged_is_part_of_the_history() -> None:
    """Killed between settle and record: it is judged again, not bought again."""
    done = answered(begun(3))

    history = history_of([done])

    assert (1, 1) == history.unjudged
    assert (2, 1, 0) == (history.next_attempt, history.requests, history.answers)


def test_a_later_send_shows_that_the_answer_before_it_was_judged() -> None:
    """So it counts towards the four requests of an item."""
    history = history_of([answered(begun(3)), begun(3, 2)])

    assert (None, 1, 1) == (history.unjudged, history.answers, history.invalid_answers)
    assert (Superseded(attempt=2, worst_usd=Decimal("0.01")),) == history.unresolved


def test_history_travels_through_a_pipe_unchanged() -> None:
    """As JSON, with the outcome it replaces."""
    past = [answered(begun(3)), answered(begun(3, 2), cost=None), begun(3, 3)]
    history = history_of(past, replaces=outcome(3, last_attempt=1))

    assert history == History.from_json(history.to_json())
    assert history.answers == 1


def test_what_was_asked_before_an_outcome_costs_but_does_not_count_again() -> None:
    """A retried item gets its four requests anew."""
    past = [answered(begun(3, n)) for n in (1, 2, 3, 4)]

    history = history_of(past, replaces=outcome(3, last_attempt=4))

    assert (0, 4, 4) == (history.answers, history.invalid_answers, history.requests)
    assert Decimal("0.004") == history.cost_usd
    assert history.unjudged is None


def test_answers_that_tell_no_tokens_are_counted_as_such() -> None:
    told, silent = answered(begun(1, 1)), answered(begun(2, 1))
    silent = dataclasses.replace(silent, usage=None)

    totals = recount([told, silent], [])

    assert (totals.answered, totals.uncounted) == (2, 1)
    assert totals.are_tokens_known
    assert not recount([silent], []).are_tokens_known


def test_dollars_are_exact_whatever_precision_new_threads_get(tmp_path: Path) -> None:
    """A task file may set that for all threads; the committer's is no exception."""
    create_shard(tmp_path, "run", 1)
    before = decimal.DefaultContext.prec
    decimal.DefaultContext.prec = 2
    try:
        with contextlib.closing(Shard(tmp_path, 1)) as shard:
            for number in (1, 2):
                shard.begin(begun(number, worst_usd=Decimal("100.0001")))
            assert Decimal("200.0002") == shard.totals().open_usd
    finally:
        decimal.DefaultContext.prec = before
