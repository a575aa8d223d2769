"""One item from request to recorded outcome: the heart.

    1 task.request_for      what to ask
    2 limiter.reserve       waits: requests, tokens, dollars
    3 shard.begin           "about to spend" is on disk before the send
    4 client.call           the only network call; looks once more before it sends
    5 shard.settle          what came back is on disk before anything judges it
    6 limiter.answered      corrects the estimates; of a failure, told before 5,
                            it says whether it counts against the item
    7 task.judge            verdict: pure, repeatable, free
    8 retrying              again (go to 2), or finish
    9 shard.record          the outcome

Floor: the work. Knows the doors and rules, not who runs it.
"""

import dataclasses
from dataclasses import dataclass
from decimal import Decimal

from runner.answers import read_answer
from runner.checkpoint.entries import Attempt, InvalidAnswer, Outcome, settled
from runner.checkpoint.history import History, outcome_of, told, with_answer
from runner.errors import StoreError, TaskError
from runner.limiter import Permit, Refusal, RefusalKind
from runner.records import (
    Answer,
    AttemptState,
    Failure,
    FailureKind,
    Item,
    OutcomeState,
    Reply,
    Usage,
    Verdict,
)
from runner.retrying import (
    PENDING,
    Step,
    decide_on_failure,
    decide_on_verdict,
)
from runner.run_status import Stop, StopKind
from runner.worker.result import result_json
from runner.worker.tools import Tools
from runner.worker.wants import digest_of, want_for

_STOPS = {
    RefusalKind.BUDGET: (
        StopKind.BUDGET,
        "allow more at the resume, with a higher --max-cost",
    ),
    RefusalKind.GIVEN_UP: (
        StopKind.OUTAGE,
        "`runner resume` once the server answers again",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a walk ended."""

    outcome: Outcome | None = None
    """None: the item stays pending."""
    result: bytes = b""
    replaces: Outcome | None = None
    stop: Stop | None = None
    verdicts: tuple[Verdict, ...] = ()
    again_s: float | None = None
    """It has failed and lets others go first: call `to_end` again after that
    monotonic second."""


class Walk:
    """One item's way; used by one thread at a time."""

    def __init__(self, item: Item, history: History, tools: Tools) -> None:
        self._item = item
        self._tools = tools
        self._past = history
        self._failed_s: list[float] = []
        self._answer: tuple[Answer | None, Attempt, Verdict] | None = None
        self._untold: InvalidAnswer | None = None
        self._verdicts: list[Verdict] = []
        self._is_begun = False

    def to_end(self) -> Ending:
        """Walk until the item has an outcome, steps aside, or the run stops."""
        try:
            step = self._ask() if self._is_begun else self._begin_walk()
        except TaskError as error:
            reason = self._tools.without_key(str(error))
            step = Step(finish=OutcomeState.FAILED, reason=reason)
        except StoreError as error:
            step = Step(stop=_store_failed(error))
        return self._ending(step)

    def _begin_walk(self) -> Step:
        self._is_begun = True
        if self._past.unjudged:
            # Before anything else can fail: it is paid for.
            step = self._judge_stored(*self._past.unjudged)
            if not step.again:
                return step
        self._request = self._tools.task.request_for(self._item)
        self._prepare()
        return self._ask()

    def _ask(self) -> Step:
        return self._tools.retrying(self._step)

    def _prepare(self) -> None:
        request = self._request
        self._digest = digest_of(request)
        self._worst_usd = self._tools.prices.worst_case_usd(request)
        if self._worst_usd is None and self._tools.pacing.max_cost_usd is not None:
            # At the start, when all were looked at, the task file asked otherwise.
            raise TaskError("its request has no highest price now: --max-cost needs it")
        self._want = want_for(
            request,
            number=self._item.ref.number,
            worst_usd=self._worst_usd,
            token_ratio=self._tools.limiter.token_ratio(),
            has_failed=self._past.server_failed_it,
        )

    def _step(self) -> Step:
        want = self._want
        self._forget_forgiven()
        if self._failed_s:
            want = dataclasses.replace(want, failed_before_s=self._failed_s[0])
        with self._tools.meter.waiting():
            permit = self._tools.limiter.reserve(want, self._tools.stop)
        if isinstance(permit, Refusal):
            return self._refused(permit)
        attempt = self._begin(permit)
        while not (step := self._spend(attempt, permit)):
            # Late, after a slow commit or a slow connection: what is recorded as
            # about to be spent stays so, else a slow disk would come first for ever.
            renewed = self._renewed(attempt, permit)
            if isinstance(renewed, Refusal):
                return self._refused(renewed)
            permit = renewed
        return step

    def _renewed(self, attempt: Attempt, permit: Permit) -> Permit | Refusal:
        """A new turn; without one the attempt is closed: it was never sent."""
        renewed: Permit | Refusal | None = None
        try:
            with self._tools.meter.waiting():
                renewed = self._tools.limiter.renew(permit)
        finally:
            if renewed is None or isinstance(renewed, Refusal):
                self._settle(attempt, _unsent(attempt), b"")
                self._tools.limiter.release(permit)
        return renewed

    def _spend(self, attempt: Attempt, permit: Permit) -> Step | None:
        """What follows; None: the permit came too late."""
        with self._tools.meter.under_way():
            permitted_s = self._tools.clock.monotonic_s()
            reply = self._call(attempt, permit)
            kind = reply.failure.kind if reply.failure else None
            if kind is FailureKind.HELD_BACK:
                return self._held_back(attempt, permit)
            step = self._received(attempt, permit, reply)
            took_s = self._tools.clock.monotonic_s() - permitted_s
            self._tools.meter.came_back(took_s, kind)
            return step

    def _held_back(self, attempt: Attempt, permit: Permit) -> Step | None:
        if not self._tools.limiter.is_called_off(permit):
            return None
        self._settle(attempt, _unsent(attempt), b"")
        self._tools.limiter.give_back(permit)
        return Step(again=True)

    def _may_go(self, permit: Permit) -> bool:
        # Stop, a fleet-wide pause, or a second that went by meanwhile (a slow disk,
        # a suspended machine) make a permit stale.
        return not self._tools.stop.is_set() and self._tools.limiter.is_fresh(permit)

    def _begin(self, permit: Permit) -> Attempt:
        ref = self._item.ref
        attempt = Attempt(
            number=ref.number,
            item_id=self._item.item_id,
            fingerprint=ref.fingerprint.hex(),
            attempt=self._past.next_attempt,
            slot=self._tools.slot,
            started_unix_s=round(self._tools.clock.unix_s(), 3),
            endpoint=self._request.endpoint,
            request_digest=self._digest,
            worst_usd=self._worst_usd,
            is_retry=self._past.requests > 0,
            failures_before=self._failures_that_count(),
            supersedes=self._past.unresolved,
            follows_invalid=self._untold,
        )
        try:
            self._tools.shard.begin(attempt)
        except StoreError:
            self._tools.limiter.give_back(permit)
            raise
        self._past = dataclasses.replace(self._past, next_attempt=attempt.attempt + 1)
        return attempt

    def _call(self, attempt: Attempt, permit: Permit) -> Reply:
        flight = (attempt.number, attempt.attempt)
        self._tools.flights[flight] = self._tools.clock.monotonic_s()
        try:
            # Joins our ledger with the server's: paid-twice can be computed.
            request_id = f"{self._tools.run_id}-{flight[0]}-{flight[1]}"
            return self._tools.client.call(
                self._request, request_id, may_go=lambda: self._may_go(permit)
            )
        finally:
            del self._tools.flights[flight]

    def _received(self, attempt: Attempt, permit: Permit, reply: Reply) -> Step:
        if reply.failure:
            return self._failed(attempt, permit, reply, reply.failure)
        answer, cost_usd, bug = self._read(reply)
        usage = answer.usage if answer else None
        done = settled(
            attempt,
            reply,
            usage=usage,
            cost_usd=cost_usd,
            model=answer.model if answer else None,
            failure_counts=False,
        )
        self._settle(attempt, done, reply.body)
        if bug:
            raise bug
        self._tools.limiter.answered(permit, reply.headers, usage, cost_usd)
        self._count_sent(done, usage, cost_usd)
        return self._judged(answer, done)

    def _read(
        self, reply: Reply
    ) -> tuple[Answer | None, Decimal | None, Exception | None]:
        """The answer and its price; a bug of ours waits until what came is on disk."""
        try:
            answer = read_answer(self._request.endpoint, reply.body, reply.parsed)
            return answer, self._cost_usd(answer), None
        except Exception as error:  # noqa: BLE001 - raised once the answer is kept
            return None, None, error

    def _cost_usd(self, answer: Answer | None) -> Decimal | None:
        request = self._request
        if answer is None:
            return None
        return self._tools.prices.cost_usd(request.endpoint, answer, request.model)

    def _failed(
        self, attempt: Attempt, permit: Permit, reply: Reply, failure: Failure
    ) -> Step:
        worst_usd = self._worst_usd or Decimal(0)
        counts = self._tools.limiter.failed(
            permit,
            failure,
            reply.headers,
            committed_usd=worst_usd if failure.possibly_billed else Decimal(0),
        )
        done = settled(
            attempt, reply, usage=None, cost_usd=None, model=None, failure_counts=counts
        )
        self._settle(attempt, done, reply.body)
        if done.state is not AttemptState.NOT_SENT:
            self._note_sent(done)
        if counts:
            self._failed_s.append(self._tools.clock.monotonic_s())
        step = decide_on_failure(
            failure,
            self._failures_that_count(),
            self._tools.pacing,
            is_alone=self._past.server_failed_it
            or self._tools.limiter.is_alone(attempt.number),
        )
        if step.again and step.wait_s and self._tools.others_wait():
            # Whether it is the server or this item, another one will tell.
            return dataclasses.replace(step, again=False, aside=True)
        return step

    def _failures_that_count(self) -> int:
        self._forget_forgiven()
        return self._past.failures + len(self._failed_s)

    def _forget_forgiven(self) -> None:
        """Failures of an outage that was seen since count against nothing.

        They spoil no witness either: in the next outage this item is heard.
        """
        excused = self._tools.limiter.forgiven(self._failed_s)
        self._failed_s = [at_s for at_s in self._failed_s if at_s not in excused]

    def _settle(self, begun: Attempt, done: Attempt, body: bytes) -> None:
        self._tools.shard.settle(begun, done, body)

    def _note_sent(self, attempt: Attempt) -> None:
        """It left, so what it told of is told."""
        past = dataclasses.replace(
            self._past, requests=self._past.requests + 1, unresolved=()
        )
        self._past = told(past, attempt)
        self._untold = None

    def _count_sent(
        self, attempt: Attempt, usage: Usage | None, cost_usd: Decimal | None
    ) -> None:
        self._note_sent(attempt)
        self._past = with_answer(self._past, usage, cost_usd)

    def _judge_stored(self, slot: int, number: int) -> Step:
        """Judge a reply that was paid for before; nothing is sent."""
        attempt, body = self._tools.stored_reply(slot, self._item.ref.number, number)
        return self._judged(read_answer(attempt.endpoint, body), attempt)

    def _judged(self, answer: Answer | None, attempt: Attempt) -> Step:
        verdict = self._without_key(self._tools.task.judge(self._item, answer))
        self._answer = (answer, attempt, verdict)
        self._verdicts.append(verdict)
        if not verdict.valid:
            self._untold = InvalidAnswer(
                attempt=attempt.attempt, cost_usd=attempt.cost_usd
            )
            past = self._past
            self._past = dataclasses.replace(
                past,
                answers=past.answers + 1,
                invalid_answers=past.invalid_answers + 1,
                invalid_usd=past.invalid_usd + (attempt.cost_usd or 0),
                unjudged=None,
            )
        return decide_on_verdict(verdict, self._past.answers, self._tools.pacing)

    def _without_key(self, verdict: Verdict) -> Verdict:
        if verdict.reason is None:
            return verdict
        reason = self._tools.without_key(verdict.reason)
        return dataclasses.replace(verdict, reason=reason)

    def _refused(self, refusal: Refusal) -> Step:
        if refusal.kind is RefusalKind.STOPPED:
            return PENDING
        if refusal.kind is RefusalKind.TOO_LARGE:
            return Step(finish=OutcomeState.FAILED, reason=refusal.message)
        kind, hint = _STOPS[refusal.kind]
        return Step(stop=Stop(kind=kind, message=refusal.message, hint=hint))

    def _ending(self, step: Step) -> Ending:
        if step.aside:
            return Ending(again_s=self._tools.clock.monotonic_s() + step.wait_s)
        verdicts = tuple(self._verdicts)
        if step.finish is None:
            return Ending(stop=step.stop, verdicts=verdicts)
        outcome = self._outcome(step.finish, step.reason)
        return Ending(
            outcome=outcome,
            result=self._result(outcome),
            replaces=self._past.replaces,
            verdicts=verdicts,
        )

    def _outcome(self, state: OutcomeState, reason: str | None) -> Outcome:
        answered = self._answer and self._answer[1]
        return outcome_of(
            self._item,
            self._past,
            state=state,
            reason=reason,
            answer=(answered.slot, answered.attempt) if answered else None,
            finished_unix_s=self._tools.clock.unix_s(),
        )

    def _result(self, outcome: Outcome) -> bytes:
        answer, attempt, verdict = self._answer or (None, None, None)
        response = verdict and verdict.response
        return result_json(outcome, response, answer, attempt, self._past)


def _unsent(attempt: Attempt) -> Attempt:
    return dataclasses.replace(attempt, state=AttemptState.NOT_SENT)


def _store_failed(error: StoreError) -> Stop:
    return Stop(kind=StopKind.STORE, message=error.message, hint=error.hint)
