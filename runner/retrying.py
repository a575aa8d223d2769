"""Where a retry happens: which failures, how long to wait, when to stop.

The only retry in the product. The SDK's are off; one send is one permit and one
attempt. `decide_*` say what follows from one step of an item's walk, `retrying`
is the loop (tenacity) that does it.

Floor: rules for the work. Knows the words only.
"""

import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import tenacity

from runner.clock import Clock
from runner.config import Pacing
from runner.records import Failure, FailureKind, OutcomeState, Verdict
from runner.run_status import Stop, StopKind

BACKOFF_FIRST_S = 1.0
BACKOFF_MOST_S = 60.0
_LARGEST_EXPONENT = 16  # 2**16 s is far above the most; keeps the power small


class Scope(StrEnum):
    """Whom a failure concerns."""

    RUN = "run"
    """No request can succeed: the run stops, the item stays pending."""
    ITEM = "item"
    """This request never succeeds: the item is failed at once."""
    ATTEMPT = "attempt"
    """This send failed: it may count against the item, and is tried again."""
    NOBODY = "nobody"
    """Costs nothing and counts against nothing: tried again."""


SCOPES = {
    FailureKind.DENIED: Scope.RUN,
    FailureKind.NOT_FOUND: Scope.RUN,
    FailureKind.REJECTED: Scope.ITEM,
    FailureKind.SERVER: Scope.ATTEMPT,
    FailureKind.TIMEOUT: Scope.ATTEMPT,
    FailureKind.CUT: Scope.ATTEMPT,
    FailureKind.GARBLED: Scope.ATTEMPT,
    FailureKind.NOT_SENT: Scope.NOBODY,
    FailureKind.HELD_BACK: Scope.NOBODY,
    FailureKind.THROTTLED: Scope.NOBODY,
    FailureKind.SLOW_DOWN: Scope.NOBODY,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What follows from one step of an item's walk."""

    again: bool = False
    wait_s: float = 0.0
    aside: bool = False
    """To be tried again after `wait_s`, but others may go first."""
    finish: OutcomeState | None = None
    reason: str | None = None
    stop: Stop | None = None
    """The run has to stop; the item stays pending."""


PENDING = Step()
"""The walk ends here and the item stays pending: the run is draining."""


def decide_on_failure(
    failure: Failure, failures: int, pacing: Pacing, *, is_alone: bool = False
) -> Step:
    """What follows from a failed send.

    Args:
        failure: Why it failed.
        failures: Failures that count against the item, this one included.
        pacing: Holds the bound.
        is_alone: Nobody else may tell whether it is the server; a short outage must
            not look like a sick item, so the waits are long.
    """
    scope = SCOPES[failure.kind]
    if scope is Scope.RUN:
        return Step(stop=_stop_for(failure))
    if scope is Scope.ITEM:
        return Step(finish=OutcomeState.FAILED, reason=failure.message)
    if scope is Scope.ATTEMPT and failures >= pacing.max_failures:
        reason = f"{failures} requests failed, the last: {failure.message}"
        return Step(finish=OutcomeState.FAILED, reason=reason)
    # Throttling is waited out in the limiter, for the whole fleet at once.
    is_throttle = failure.kind in (FailureKind.THROTTLED, FailureKind.SLOW_DOWN)
    wait_s = alone_s(failures) if is_alone else backoff_s(failures)
    return Step(again=True, wait_s=0.0 if is_throttle else wait_s)


def _stop_for(failure: Failure) -> Stop:
    """No request can succeed: what somebody has to set right first."""
    if failure.kind is FailureKind.NOT_FOUND:
        kind, what = StopKind.NOT_FOUND, "--model or --base-url, with --accept-changes"
        hint = f"name the right one at the resume ({what}): no item is lost"
    else:
        kind = StopKind.DENIED
        hint = "set that right (key, credit), then resume: no item is lost"
    return Stop(kind=kind, message=failure.message, hint=hint)


def decide_on_verdict(verdict: Verdict, answers: int, pacing: Pacing) -> Step:
    """What follows from a judged answer.

    Args:
        verdict: What the user's rules say.
        answers: Answers that count against the item, this one included.
        pacing: Holds the bound.
    """
    if verdict.valid:
        return Step(finish=OutcomeState.VALID)
    may_ask = verdict.valid is False and verdict.ask_again
    if may_ask and answers < pacing.max_requests:
        return Step(again=True, reason=verdict.reason)
    return Step(finish=OutcomeState.INVALID, reason=verdict.reason)


def backoff_s(failures: int) -> float:
    """Full jitter: anything up to 1, 2, 4 ... 60 s after that many failures.

    (AWS, "Exponential backoff and jitter".)
    """
    return random.uniform(0, _most_s(failures))  # noqa: S311 - spreads load, keeps no secret


def alone_s(failures: int) -> float:
    """1, 2, 4 ... s and up to a quarter more: six failures take half a minute."""
    return _most_s(failures) * random.uniform(1, 1.25)  # noqa: S311 - the same


def _most_s(failures: int) -> float:
    exponent = min(max(failures - 1, 0), _LARGEST_EXPONENT)
    return min(BACKOFF_MOST_S, BACKOFF_FIRST_S * 2.0**exponent)


class Retrying:
    """Takes the steps of walks, each until one ends it; for all threads of a process.

    One for all: tenacity's object holds on to itself, so one an item left twenty
    objects an item behind until the collector came by.
    """

    def __init__(self, stop: threading.Event, clock: Clock) -> None:
        """`stop` ends every walk at its next step, and every wait between two."""
        self._stop = stop

        def sleep(seconds: float) -> None:
            clock.wait(stop, seconds)

        self._loop = tenacity.Retrying(
            retry=tenacity.retry_if_result(lambda taken: taken.again),
            wait=lambda state: _last(state).wait_s,
            stop=tenacity.stop_when_event_set(stop),
            sleep=sleep,
            retry_error_callback=lambda _: PENDING,
        )

    def __call__(self, step: Callable[[], Step]) -> Step:
        """Take steps until one ends the walk, or `stop` is set; the last one."""
        first = self._unless_stopped(step)
        if not first.again:
            return first  # as nearly always: the loop's own work costs 50 us of CPU
        ended: Step = self._loop(next, self._steps(first, step))
        return ended

    def _steps(self, first: Step, step: Callable[[], Step]) -> Iterator[Step]:
        yield first
        while True:
            yield self._unless_stopped(step)

    def _unless_stopped(self, step: Callable[[], Step]) -> Step:
        # The loop asks for `stop` after a step; a wait that `stop` ended comes later.
        return PENDING if self._stop.is_set() else step()


def _last(state: tenacity.RetryCallState) -> Step:
    assert state.outcome is not None
    taken: Step = state.outcome.result()
    return taken
