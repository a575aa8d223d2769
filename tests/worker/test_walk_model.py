"""Any walks of three items, killed anywhere, against a dictionary of what was paid."""

import dataclasses
import threading
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from fake_clock import FakeClock
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from walk_fakes import BAD, GOOD, ITEM, World, reply

from runner.checkpoint.entries import Attempt, Outcome
from runner.checkpoint.history import history_of
from runner.config import Pacing
from runner.records import AttemptState, FailureKind, OutcomeState, Reply
from runner.retrying import Retrying
from runner.worker.tools import Tools
from runner.worker.walk import Walk

_ITEMS = (1, 2, 3)
_MOST_ANSWERS = 4
_REPLIES = st.sampled_from(
    (
        reply(GOOD),
        reply(BAD),
        reply(b"", FailureKind.SERVER),
        reply(b"", FailureKind.TIMEOUT),
        reply(b"", FailureKind.NOT_SENT),
        reply(b"", FailureKind.THROTTLED),
    )
)
_STEPS = ("reserve", "begin", "begun", "call", "came", "settle", "settled", "judge")


class Killed(BaseException):
    """SIGKILL: no code of the walk may catch it."""


class Disk(World):
    """A world that remembers what was on disk, and dies at a given step."""

    def __init__(self) -> None:
        super().__init__(FakeClock())
        self.attempts: dict[int, dict[int, tuple[Attempt, bytes]]] = {
            number: {} for number in _ITEMS
        }
        self.outcomes: dict[int, Outcome] = {}
        self.paid: dict[int, list[bytes]] = {number: [] for number in _ITEMS}
        """What the server charged for: the dictionary."""
        self.calls: dict[int, int] = dict.fromkeys(_ITEMS, 0)
        self.dies_at: str | None = None
        self.dies_after = 0

    def step(self, name: str) -> None:
        """Die here, if this is the place and the time."""
        if name == self.dies_at:
            self.dies_after -= 1
            if self.dies_after < 0:
                self.dies_at = None
                raise Killed

    def reserve(self, want: Any, _stop: threading.Event) -> Any:
        """A permit."""
        self.step("reserve")
        return want

    def begin(self, attempt: Attempt) -> None:
        """On disk."""
        self.step("begin")
        assert attempt.attempt not in self.attempts[attempt.number]
        self.attempts[attempt.number][attempt.attempt] = (attempt, b"")
        self.step("begun")

    def call(
        self, _request: Any, client_request_id: str, *, may_go: Callable[[], bool]
    ) -> Reply:
        """Paid for, when an answer comes."""
        self.step("call")
        assert may_go()
        number, attempt = (int(part) for part in client_request_id.split("-")[1:])
        assert self.attempts[number][attempt][0].state is AttemptState.OPEN
        assert number not in self.outcomes
        came = self.replies.popleft() if self.replies else reply(GOOD)
        failure = came.failure
        if failure is None or failure.kind is not FailureKind.NOT_SENT:
            self.calls[number] += 1
        if failure is None:
            self.paid[number].append(came.body)
        self.step("came")
        return came

    def settle(self, begun: Attempt, done: Attempt, body: bytes) -> None:
        """On disk."""
        self.step("settle")
        self.attempts[begun.number][begun.attempt] = (done, body)
        self.step("settled")

    def judge(self, item: Any, answer: Any) -> Any:
        """As ever."""
        self.step("judge")
        return super().judge(item, answer)

    def stored_reply(self, _slot: int, number: int, attempt: int) -> Any:
        """From disk."""
        return self.attempts[number][attempt]

    def walk_item(self, number: int) -> None:
        """From what is on disk to an outcome, or to death."""
        it: Any = self
        stop = threading.Event()
        tools = Tools(
            run_id="run",
            slot=1,
            task=it,
            limiter=it,
            shard=it,
            client=it,
            prices=it,
            clock=self.clock,
            pacing=Pacing(),
            stop=stop,
            retrying=Retrying(stop, self.clock),
            stored_reply=self.stored_reply,
            flights={},
        )
        ref = dataclasses.replace(ITEM.ref, number=number)
        item = dataclasses.replace(ITEM, ref=ref)
        past = history_of([attempt for attempt, _ in self.attempts[number].values()])
        ending = Walk(item, past, tools).to_end()
        assert ending.outcome is not None
        self.outcomes[number] = ending.outcome


class Nights(RuleBasedStateMachine):
    """Walks in any order, replies of any kind, deaths at any step."""

    @initialize()
    def begin(self) -> None:
        """Nothing is asked yet."""
        self.disk = Disk()
        self.deaths = 0

    @rule(
        number=st.sampled_from(_ITEMS),
        replies=st.lists(_REPLIES, max_size=7),
        dies_at=st.none() | st.sampled_from(_STEPS),
        dies_after=st.integers(0, 3),
    )
    def walk(
        self, number: int, replies: list[Reply], dies_at: str | None, dies_after: int
    ) -> None:
        """One worker takes an item, and may die with it."""
        if number in self.disk.outcomes:
            return
        self.disk.replies = deque(replies)
        self.disk.dies_at, self.disk.dies_after = dies_at, dies_after
        paid_before = len(self.disk.paid[number])
        recorded_good = self._recorded(number, GOOD)
        try:
            self.disk.walk_item(number)
        except Killed:
            self.deaths += 1
        if recorded_good:
            assert len(self.disk.paid[number]) == paid_before

    @invariant()
    def what_was_paid_is_recorded_or_open(self) -> None:
        """Each paid answer is on disk as it came, or its attempt is open."""
        for number, paid in self.disk.paid.items():
            on_disk = [
                body
                for attempt, body in self.disk.attempts[number].values()
                if attempt.is_answer
            ]
            unknown = sum(
                attempt.state is AttemptState.OPEN
                for attempt, _ in self.disk.attempts[number].values()
            )
            assert len(on_disk) <= len(paid) <= len(on_disk) + unknown

    @invariant()
    def every_request_has_its_attempt(self) -> None:
        """What left is announced; what is announced as unsent did not leave."""
        for number, calls in self.disk.calls.items():
            states = [a.state for a, _ in self.disk.attempts[number].values()]
            unsent = states.count(AttemptState.NOT_SENT)
            unknown = states.count(AttemptState.OPEN)
            assert calls <= len(states) - unsent <= calls + unknown

    @invariant()
    def outcomes_say_what_happened(self) -> None:
        """Valid with a good answer; invalid only after four; failed only after six."""
        for number, outcome in self.disk.outcomes.items():
            attempts = self.disk.attempts[number].values()
            answers = [body for attempt, body in attempts if attempt.is_answer]
            failures = sum(attempt.failure_counts for attempt, _ in attempts)
            if outcome.state is OutcomeState.VALID:
                assert answers[-1] == GOOD
                assert GOOD not in answers[:-1]
            elif outcome.state is OutcomeState.INVALID:
                assert answers == [BAD] * _MOST_ANSWERS
            else:
                assert failures >= Pacing().max_failures
            wrong = answers.count(BAD)
            assert outcome.invalid_answers == wrong
            assert outcome.invalid_answers_usd == wrong * Decimal("0.001")

    def _recorded(self, number: int, body: bytes) -> bool:
        attempts = self.disk.attempts[number].values()
        return any(attempt.is_answer and kept == body for attempt, kept in attempts)


TestNights = Nights.TestCase
