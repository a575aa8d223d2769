"""When a request is tried again, how long that waits, and when it ends."""

import gc
import threading

import pytest
from fake_clock import FakeClock
from hypothesis import given
from hypothesis import strategies as st

from runner.config import Pacing
from runner.records import Failure, FailureKind, OutcomeState, Verdict
from runner.retrying import (
    PENDING,
    SCOPES,
    Retrying,
    Step,
    backoff_s,
    decide_on_failure,
    decide_on_verdict,
)
from runner.run_status import StopKind


@given(st.integers(0, 10**6))
def test_backoff_is_full_jitter_below_a_minute(failures: int) -> None:
    """Also after a million failures: tenacity's own default has no bound."""
    assert 0 <= backoff_s(failures) <= min(60, 2 ** min(max(failures - 1, 0), 20))


def test_every_kind_of_failure_has_a_rule() -> None:
    """A kind without one would end a worker."""
    assert set(SCOPES) == set(FailureKind)


@pytest.mark.parametrize("kind", FailureKind)
@pytest.mark.parametrize("failures", [0, 1, 5, 6, 7])
def test_each_failure_has_exactly_one_consequence(
    kind: FailureKind, failures: int
) -> None:
    """Again, finished, or the run stops."""
    step = decide_on_failure(Failure(kind=kind, message="m"), failures, Pacing())

    assert [step.again, step.finish is not None, step.stop is not None].count(True) == 1


@pytest.mark.parametrize(
    "kind", [FailureKind.NOT_SENT, FailureKind.THROTTLED, FailureKind.SLOW_DOWN]
)
def test_what_is_nobodys_fault_never_fails_an_item(kind: FailureKind) -> None:
    """However often it happens: a night of 429s costs no item."""
    step = decide_on_failure(Failure(kind=kind, message="m"), 10**6, Pacing())

    assert step.again


def test_a_model_or_a_path_that_is_not_there_is_to_be_named_anew() -> None:
    """A resume with the same words would end the same way."""
    failure = Failure(kind=FailureKind.NOT_FOUND, message="no such model")
    stop = decide_on_failure(failure, 1, Pacing()).stop

    assert stop is not None
    assert stop.kind is StopKind.NOT_FOUND
    assert "--model or --base-url, with --accept-changes" in (stop.hint or "")


def test_an_empty_account_stops_the_run_and_fails_no_item() -> None:
    """The item stays pending, for when there is credit again."""
    denied = Failure(kind=FailureKind.DENIED, message="no credit")
    step = decide_on_failure(denied, 1, Pacing())

    assert step.stop is not None
    assert step.finish is None


@pytest.mark.parametrize("most", [1, 4])
def test_an_item_gets_as_many_requests_as_were_asked_for_and_no_more(
    most: int,
) -> None:
    """Each answer is paid for."""
    pacing, bad = Pacing(max_requests=most), Verdict(valid=False, reason="no")
    steps = [decide_on_verdict(bad, answers, pacing) for answers in range(1, most + 1)]

    assert [step.again for step in steps] == [True] * (most - 1) + [False]
    assert steps[-1].finish is OutcomeState.INVALID


def test_the_loop_ends_with_the_first_step_that_does(clock: FakeClock) -> None:
    """Waiting between steps as they say."""
    steps = iter(
        [
            Step(again=True, wait_s=2.5),
            Step(again=True),
            Step(finish=OutcomeState.VALID),
        ]
    )

    last = Retrying(threading.Event(), clock)(lambda: next(steps))

    assert last.finish is OutcomeState.VALID
    assert clock.waits == [2.5, 0.0]


def test_a_stop_during_the_wait_ends_the_loop(clock: FakeClock) -> None:
    """The next step is not taken: the run drains."""
    stop = threading.Event()
    taken: list[int] = []

    def step() -> Step:
        taken.append(1)
        return Step(again=True, wait_s=60)

    clock.on_wait = threading.Event.set

    assert Retrying(stop, clock)(step) == PENDING
    assert len(taken) == 1


def test_a_stop_before_the_first_step_takes_none(clock: FakeClock) -> None:
    """A worker that drains begins nothing."""
    stop = threading.Event()
    stop.set()

    assert Retrying(stop, clock)(lambda: Step(again=True)) == PENDING


def test_walks_of_many_threads_do_not_mix_in_one_loop(clock: FakeClock) -> None:
    """Each gets its own last step, however their steps interleave."""
    retrying = Retrying(threading.Event(), clock)
    together = threading.Barrier(8, timeout=10)
    ends: dict[int, Step] = {}

    def walk(number: int) -> None:
        steps = iter([Step(again=True), Step(again=True), Step(reason=str(number))])

        def step() -> Step:
            together.wait()
            return next(steps)

        ends[number] = retrying(step)

    walks = [threading.Thread(target=walk, args=(number,)) for number in range(8)]
    for one in walks:
        one.start()
    for one in walks:
        one.join(10)

    assert {number: step.reason for number, step in ends.items()} == {
        number: str(number) for number in range(8)
    }


def test_a_walk_leaves_nothing_behind_for_the_collector(clock: FakeClock) -> None:
    """Of a million items that would be a rising pile; those retried need the loop."""
    retrying = Retrying(threading.Event(), clock)

    def walk() -> None:
        steps = iter([Step(again=True), Step(finish=OutcomeState.VALID)])
        retrying(lambda: next(steps))

    walk()
    gc.collect()
    gc.disable()
    try:
        for _ in range(100):
            walk()
        assert gc.collect() == 0
    finally:
        gc.enable()
