"""One item from request to outcome: the order, the bounds, the money."""

import dataclasses
import json
import threading
from collections import deque
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from fake_clock import FakeClock
from walk_fakes import BAD, GOOD, World, done, reply

from runner.checkpoint.entries import Attempt, InvalidAnswer, Outcome, Superseded
from runner.checkpoint.history import History, history_of
from runner.limiter import Refusal, RefusalKind
from runner.records import AttemptState, FailureKind, OutcomeState, Reply, Verdict
from runner.run_status import StopKind


@pytest.fixture
def world(clock: FakeClock) -> World:
    """A world in which a test writes the replies."""
    return World(clock)


def test_intent_is_on_disk_before_the_send_and_the_reply_before_the_verdict(
    world: World,
) -> None:
    """The order that every promise rests on."""
    world.replies = deque([reply()])

    ending = world.walk()

    expected = ["reserve", "begin", "call", "settle", "answered", "judge"]
    assert expected == world.log
    assert done(ending).state is OutcomeState.VALID
    assert world.bodies == [GOOD]
    assert world.asked == ["run-3-1"]


def test_an_invalid_answer_is_asked_again_up_to_four_times(world: World) -> None:
    """Each is one permit, one attempt, one answer paid for."""
    world.replies = deque([reply(BAD)] * 9)

    outcome = done(world.walk())

    assert (outcome.state, outcome.requests) == (OutcomeState.INVALID, 4)
    assert outcome.invalid_answers == 4
    assert outcome.invalid_answers_usd == Decimal("0.004")
    assert world.log.count("call") == world.log.count("reserve") == 4


def test_a_send_tells_of_the_invalid_answer_that_it_follows(world: World) -> None:
    """So an unfinished item's invalid answers count; the outcome tells of the last."""
    world.replies = deque([reply(BAD)] * 9)

    outcome = done(world.walk())

    cent = Decimal("0.001")
    follows = [InvalidAnswer(attempt=n, cost_usd=cent) for n in (1, 2, 3)]
    assert [attempt.follows_invalid for attempt in world.begun] == [None, *follows]
    assert (outcome.told_invalid_answers, outcome.told_invalid_usd) == (3, 3 * cent)


def test_a_send_that_never_left_has_told_nothing(world: World) -> None:
    """The next one tells of it, and only one: failures in between change nothing."""
    world.replies = deque(
        [
            reply(BAD),
            reply(kind=FailureKind.NOT_SENT),
            reply(kind=FailureKind.THROTTLED),
            reply(kind=FailureKind.SERVER),
            reply(),
        ]
    )

    outcome = done(world.walk())

    first = InvalidAnswer(attempt=1, cost_usd=Decimal("0.001"))
    told = [attempt.follows_invalid for attempt in world.begun]
    assert told == [None, first, first, None, None]
    assert (outcome.invalid_answers, outcome.told_invalid_answers) == (1, 1)


def test_what_earlier_sessions_told_is_not_told_again(world: World) -> None:
    """The history knows; a stored reply is told of by the send that follows it."""
    world.replies = deque([reply(BAD)])
    world.walk(max_requests=1)
    world.stored = (world.settled[0], BAD)
    world.begun.clear()
    world.replies = deque([reply()])
    past = History(
        next_attempt=2,
        requests=1,
        unjudged=(1, 1),
        invalid_answers=2,
        told_invalid_answers=2,
    )

    outcome = done(world.walk(past))

    assert [a.follows_invalid and a.follows_invalid.attempt for a in world.begun] == [1]
    assert (outcome.invalid_answers, outcome.told_invalid_answers) == (3, 3)


def test_usage_and_cost_are_summed_over_all_answers(world: World) -> None:
    """An invalid answer was paid for like any other."""
    world.replies = deque([reply(BAD), reply()])

    result = json.loads(world.walk().result)

    assert result["usage"]["input_tokens"] == 10
    assert result["cost_usd"] == "0.002"
    assert (result["requests"], result["valid"]) == (2, True)


def test_usage_is_unknown_where_one_answer_did_not_tell_it(world: World) -> None:
    """Not 0: what was used is on the bill."""
    silent = BAD.replace(b'"usage"', b'"other"')
    world.replies = deque([reply(silent), reply()])

    assert json.loads(world.walk().result)["usage"] is None


def test_truncated_answers_are_not_asked_again(world: World) -> None:
    """The same question would be cut at the same place, and paid again."""
    world.verdict_of = lambda _: Verdict(valid=False, reason="length", ask_again=False)
    world.replies = deque([reply()])

    assert done(world.walk()).requests == 1


def test_a_rule_that_raises_is_no_reason_to_ask_again(world: World) -> None:
    """The user's bug must not be paid for."""
    world.verdict_of = lambda _: Verdict(valid=None, reason="KeyError")
    world.replies = deque([reply()])

    outcome = done(world.walk())

    assert (outcome.state, outcome.requests) == (OutcomeState.INVALID, 1)


@pytest.mark.parametrize("kind", [FailureKind.SERVER, FailureKind.TIMEOUT])
def test_six_failures_fail_the_item(world: World, kind: FailureKind) -> None:
    """With backoff between them, at most a minute each."""
    world.replies = deque([reply(kind=kind)] * 9)

    outcome = done(world.walk())

    assert (outcome.state, outcome.requests) == (OutcomeState.FAILED, 6)
    assert len(world.clock.waits) == 5
    assert all(0 <= wait_s <= 60 for wait_s in world.clock.waits)


@pytest.mark.parametrize(
    "kind", [FailureKind.THROTTLED, FailureKind.NOT_SENT, FailureKind.SLOW_DOWN]
)
def test_what_costs_nothing_counts_against_nothing(
    world: World, kind: FailureKind
) -> None:
    """A hundred 429s, or an hour without a network, burn no attempt."""
    world.replies = deque([*[reply(kind=kind)] * 100, reply()])

    assert done(world.walk()).state is OutcomeState.VALID


def test_failures_of_an_outage_are_forgiven(world: World) -> None:
    """The server's trouble is not the item's."""
    world.forgives = True
    world.replies = deque([*[reply(kind=FailureKind.SERVER)] * 50, reply()])

    assert done(world.walk()).state is OutcomeState.VALID


def test_who_failed_in_an_outage_is_heard_in_the_next_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first ended after the item had failed: that is not held against it."""
    told: list[float | None] = []
    plain = world.reserve

    def reserve(want: Any, stop: threading.Event) -> Any:
        told.append(want.failed_before_s)
        return plain(want, stop)

    def is_alone(_number: int) -> bool:
        world.forgives = len(told) > 1
        return False

    monkeypatch.setattr(world, "reserve", reserve)
    monkeypatch.setattr(world, "is_alone", is_alone)
    world.replies = deque([*[reply(kind=FailureKind.SERVER)] * 2, reply()])

    assert done(world.walk()).state is OutcomeState.VALID
    assert [at_s is None for at_s in told] == [True, False, True]


def asked_again(world: World, sent: Sequence[Attempt], before: Outcome) -> list[Any]:
    """Replace that outcome, by way of the pipe to a worker; what the limiter saw."""
    wants: list[Any] = []
    world.on_reserve = wants.append
    past = history_of(sent, replaces=before).to_json()
    world.walk(History.from_json(json.loads(json.dumps(past))))
    return wants


def test_an_item_the_server_failed_at_is_no_witness_when_asked_again(
    world: World,
) -> None:
    """And waits long: nobody else may be asked beside it, and a blip is short."""
    world.replies = deque([reply(kind=FailureKind.SERVER)] * 12)
    before = done(world.walk())
    began_s = world.clock.monotonic_s()

    wants = asked_again(world, world.settled, before)

    assert [want.has_failed for want in wants] == [True] * 6
    assert world.clock.monotonic_s() - began_s >= 1 + 2 + 4 + 8 + 16


@pytest.mark.parametrize(
    ("what", "state"),
    [
        (reply(kind=FailureKind.REJECTED), OutcomeState.FAILED),
        (reply(BAD), OutcomeState.INVALID),
        (reply(), OutcomeState.VALID),
    ],
)
def test_what_ended_otherwise_is_a_witness_when_asked_again(
    world: World, what: Reply, state: OutcomeState
) -> None:
    """A refused request was mended: that says nothing of the server."""
    world.replies = deque([what])
    before = done(world.walk(max_requests=1))
    assert before.state is state

    world.replies = deque([reply()])
    wants = asked_again(world, world.settled, before)

    assert [want.has_failed for want in wants] == [False]


def test_an_item_that_killed_its_workers_is_a_witness_when_asked_again(
    world: World,
) -> None:
    """Its last attempt has no end."""
    world.replies = deque([reply(), reply()])
    before = done(world.walk())
    before = dataclasses.replace(before, state=OutcomeState.FAILED)

    wants = asked_again(world, world.begun, before)

    assert [want.has_failed for want in wants] == [False]


def test_a_refused_request_fails_its_item_at_once(world: World) -> None:
    """A 400 never turns into an answer."""
    world.replies = deque([reply(kind=FailureKind.REJECTED)])

    assert done(world.walk()).state is OutcomeState.FAILED
    assert world.log.count("call") == 1


def test_a_request_that_has_lost_its_bound_fails_its_item_under_a_cap(
    world: World,
) -> None:
    """The task file gave it an output limit when all were looked at, and none now."""
    world.worst_usd = None
    ending = world.walk(max_cost_usd=Decimal(1))
    assert done(ending).state is OutcomeState.FAILED
    assert "--max-cost needs it" in (done(ending).reason or "")
    assert "call" not in world.log


def test_a_dead_account_stops_the_run_and_leaves_the_item_pending(
    world: World,
) -> None:
    """No other request could succeed either."""
    world.replies = deque([reply(kind=FailureKind.DENIED)])

    ending = world.walk()

    assert ending.outcome is None
    assert ending.stop is not None
    assert ending.stop.kind is StopKind.DENIED


def test_a_permit_that_was_called_off_is_not_used(world: World) -> None:
    """It is given back, and nothing stays open through a pause of an hour."""
    world.stale = 2
    world.called_off = True
    world.replies = deque([reply()])

    ending = world.walk()

    assert world.log.count("call") == 1
    assert world.log.count("give back") == 2
    states = [attempt.state for attempt in world.settled]
    assert states == [AttemptState.NOT_SENT] * 2 + [AttemptState.SETTLED]
    assert done(ending).requests == 1


def test_a_permit_that_came_too_late_is_renewed_and_recorded_once(
    world: World,
) -> None:
    """On a disk that takes a second to commit, every first permit comes too late."""
    world.stale = 2
    world.replies = deque([reply()])

    ending = world.walk()

    assert world.log[:8] == [
        *("reserve", "begin", "held back", "renew", "held back", "renew"),
        *("call", "settle"),
    ]
    assert [attempt.state for attempt in world.settled] == [AttemptState.SETTLED]
    assert done(ending).requests == 1


def test_a_refusal_instead_of_a_renewed_permit_leaves_nothing_open(
    world: World,
) -> None:
    """The budget may be gone by then."""
    world.stale = 1
    it: Any = world
    it.renew = lambda _: Refusal(kind=RefusalKind.BUDGET, message="no more")

    ending = world.walk()

    assert ending.stop is not None
    assert ending.stop.kind is StopKind.BUDGET
    assert world.log[-2:] == ["settle", "release"]
    assert [attempt.state for attempt in world.settled] == [AttemptState.NOT_SENT]


def test_a_stop_while_it_connects_keeps_the_request_here(world: World) -> None:
    """The last look comes after the connection, which may take seconds."""
    real = world.is_fresh
    it: Any = world

    def stopped_meanwhile(permit: Any) -> bool:
        world.stop.set()
        return real(permit)

    it.is_fresh = stopped_meanwhile
    world.stale = 1

    ending = world.walk()

    assert ending.outcome is None
    assert world.log.count("call") == 0
    assert [attempt.state for attempt in world.settled] == [AttemptState.NOT_SENT]


def test_nothing_goes_once_it_is_stopped_however_fresh(world: World) -> None:
    """The stop came between the permit and the send."""
    real = world.begin
    it: Any = world

    def begin(attempt: Attempt) -> None:
        real(attempt)
        world.stop.set()

    it.begin = begin

    assert world.walk().outcome is None
    assert world.log.count("call") == 0


def test_nothing_is_sent_that_cannot_be_recorded(world: World) -> None:
    """The permit goes back, the run stops."""
    world.store_fails_at = "begin"

    ending = world.walk()

    assert "call" not in world.log
    assert world.log[-1] == "give back"
    assert ending.stop is not None
    assert ending.stop.kind is StopKind.STORE


def test_a_drain_leaves_a_failed_call_pending(world: World) -> None:
    """What failed is not tried again, what was answered is finished."""
    world.stops_at_call = True
    world.replies = deque([reply(kind=FailureKind.SERVER), reply()])
    assert world.walk().outcome is None

    world.stop.clear()
    assert done(world.walk()).state is OutcomeState.VALID


def test_a_stored_reply_is_judged_not_bought(world: World) -> None:
    """After a crash between settle and record."""
    world.replies = deque([reply()])
    world.walk()
    world.stored = (world.settled[0], GOOD)
    world.log.clear()

    past = History(
        next_attempt=2, requests=1, unjudged=(1, 1), cost_usd=Decimal("0.001")
    )
    outcome = done(world.walk(past))

    assert world.log == ["judge"]
    assert (outcome.state, outcome.requests) == (OutcomeState.VALID, 1)
    assert outcome.answer == (1, 1)


def test_a_stored_reply_counts_although_its_question_cannot_be_asked_any_more(
    world: World,
) -> None:
    """What `get_prompt` looks up is down at the resume: nothing is to be asked."""
    world.replies = deque([reply()])
    world.walk()
    world.stored, world.cannot_ask = (world.settled[0], GOOD), True

    outcome = done(world.walk(History(next_attempt=2, requests=1, unjudged=(1, 1))))

    assert (outcome.state, outcome.answer) == (OutcomeState.VALID, (1, 1))


def test_a_stored_reply_that_is_invalid_is_followed_by_three_more(
    world: World,
) -> None:
    """It counts as one of the four."""
    world.replies = deque([reply(BAD)] * 9)
    world.walk()
    world.stored = (world.settled[0], BAD)
    world.log.clear()
    world.replies = deque([reply(BAD)] * 9)

    outcome = done(world.walk(History(next_attempt=2, requests=1, unjudged=(1, 1))))

    assert world.log.count("call") == 3
    assert outcome.requests == 4


def test_unresolved_attempts_are_lost_once_they_are_asked_again(world: World) -> None:
    """The first send after a crash says which ones it asks again; later ones don't."""
    held = Superseded(attempt=1, worst_usd=Decimal("0.01"))
    world.replies = deque([reply(BAD), reply()])

    world.walk(History(next_attempt=2, requests=1, unresolved=(held,)))

    assert [attempt.supersedes for attempt in world.begun] == [(held,), ()]
    assert [attempt.attempt for attempt in world.begun] == [2, 3]
    assert all(attempt.is_retry for attempt in world.begun)


def test_unresolved_attempts_stay_so_while_nothing_was_sent(world: World) -> None:
    """A refused connection has asked nothing again."""
    held = Superseded(attempt=1, worst_usd=Decimal("0.01"))
    world.replies = deque([reply(kind=FailureKind.NOT_SENT), reply()])

    world.walk(History(next_attempt=2, requests=1, unresolved=(held,)))

    assert [attempt.supersedes for attempt in world.begun] == [(held,), (held,)]


@pytest.mark.parametrize(
    ("kind", "stop"),
    [(RefusalKind.BUDGET, StopKind.BUDGET), (RefusalKind.GIVEN_UP, StopKind.OUTAGE)],
)
def test_a_refused_permit_stops_the_run(
    world: World, kind: RefusalKind, stop: StopKind
) -> None:
    """The cap is reached, or nothing has answered for hours."""
    world.refusal = Refusal(kind=kind, message="no more")

    ending = world.walk()

    assert ending.stop is not None
    assert ending.stop.kind is stop
    assert world.begun == []


def test_an_item_larger_than_the_limit_is_failed_without_a_send(world: World) -> None:
    """It would be refused for ever."""
    world.refusal = Refusal(kind=RefusalKind.TOO_LARGE, message="too large")

    outcome = done(world.walk())

    assert (outcome.state, outcome.reason) == (OutcomeState.FAILED, "too large")


def test_failures_so_far_are_written_into_the_next_attempt(world: World) -> None:
    """So that a resume goes on counting where the last session stood."""
    world.replies = deque([*[reply(kind=FailureKind.SERVER)] * 2, reply()])

    world.walk(History(failures=1))

    assert [attempt.failures_before for attempt in world.begun] == [1, 2, 3]
    assert [attempt.failure_counts for attempt in world.settled] == [True, True, False]
    assert history_of(world.settled).failures == 3


def test_resuming_into_an_outage_again_and_again_fails_no_item(world: World) -> None:
    """The first one asked fails before the others tell that it is the server."""
    sent: list[Attempt] = []
    for _session in range(9):
        world.replies = deque([reply(kind=FailureKind.SERVER)])
        world.stops_at_call = True
        past = history_of(sent)

        assert world.walk(past).outcome is None

        assert past.failures == 0
        sent += world.settled[len(sent) :]
        world.stop.clear()
    assert len(sent) == 9


def test_a_lone_surrogate_in_an_answer_is_exported_as_an_escape(world: World) -> None:
    """UTF-8 cannot hold one; the file stays valid JSON."""
    world.replies = deque([reply(GOOD.replace(b"yes", rb"yes\ud800"))])
    world.verdict_of = lambda _: Verdict(valid=True)

    ending = world.walk()

    assert rb"\ud800" in ending.result
    assert json.loads(ending.result)["response"] == "yes\ud800"
    assert dataclasses.is_dataclass(ending)
