"""The morning after: ledger and checkpoint, two histories, item by item."""

import dataclasses
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nights.plan import ITEMS, Plan
from nights.provider import Provider
from runner.checkpoint.entries import Attempt, Outcome
from runner.checkpoint.manifest import Manifest
from runner.checkpoint.reading import RunReader
from runner.checkpoint.recounting import recount
from runner.records import AttemptState, OutcomeState

_MOST_ANSWERS = 4


@contextmanager
def opened(run_folder: Path) -> Iterator[RunReader]:
    """All shards that exist by now."""
    manifest = Manifest.load(run_folder)
    reader = RunReader(run_folder, manifest.run_id, list(manifest.shards), live=True)
    yield reader
    reader.close()


class Morning:
    """What must hold once every item has its outcome."""

    def __init__(self, plan: Plan, provider: Provider, run_folder: Path) -> None:
        self._plan = plan
        self._provider = provider
        run_id = Manifest.load(run_folder).run_id
        with opened(run_folder) as reader:
            self._totals = reader.totals()
            self._counted = recount(reader)
            self._attempts = {
                f"{run_id}-{attempt.number}-{attempt.attempt}": (attempt, body)
                for attempt, body in reader.all_attempts()
            }
            self._outcomes = list(reader.outcomes())

    def broken(self) -> Iterator[str]:
        """All that does not hold."""
        if self._counted != dataclasses.replace(self._totals, records=0):
            yield f"recounted {self._counted}, stored {self._totals}"
        yield from self._wrong_outcomes()
        yield from self._wrong_bills()
        told, enforced = self._plan.told_rpm, self._plan.enforced_rpm
        if told and told == enforced and self._provider.refusals:
            yield f"{self._provider.refusals} requests over the limit told"

    def _wrong_outcomes(self) -> Iterator[str]:
        if [outcome.number for outcome, _ in self._outcomes] != list(range(ITEMS)):
            yield f"{len(self._outcomes)} outcomes of {ITEMS} items"
        attempts = self._attempts.values()
        answers = Counter(a.number for a, _ in attempts if a.is_answer)
        for outcome, result in self._outcomes:
            yield from self._wrong_with(outcome, result)
            if answers[outcome.number] > _MOST_ANSWERS:
                yield f"item {outcome.number} got {answers[outcome.number]} answers"

    def _wrong_with(self, outcome: Outcome, result: bytes) -> Iterator[str]:
        number = outcome.number
        if outcome.state is not self._deserved(number):
            yield f"item {number}: {outcome.state} ({outcome.reason})"
        good = f'"good {number}"'.encode()
        if outcome.state is OutcomeState.VALID and good not in result:
            yield f"item {number} has another's answer: {result!r}"

    def _deserved(self, number: int) -> OutcomeState:
        plan = self._plan
        if number in plan.poison or number in plan.always_500 or number in plan.refused:
            return OutcomeState.FAILED
        if number in plan.always_invalid:
            return OutcomeState.INVALID
        return OutcomeState.VALID

    def _wrong_bills(self) -> Iterator[str]:
        lost = {
            (attempt.number, old.attempt)
            for attempt, _ in self._attempts.values()
            for old in attempt.supersedes
        }
        for billed in self._provider.ledger:
            attempt, body = self._attempts.get(billed.request_id, (None, b""))
            wrong = self._wrong_bill(attempt, body == billed.body, lost)
            if wrong:
                yield f"{billed.request_id} is billed, and {wrong}"
        free = {
            request_id
            for request_id, (attempt, _) in self._attempts.items()
            if attempt.state is AttemptState.NOT_SENT
        }
        sent = {sent.request_id for sent in self._provider.sent}
        if sent & free:
            yield f"sent, and told as not sent: {sorted(sent & free)[:3]}"

    def _wrong_bill(
        self,
        attempt: Attempt | None,
        is_same: bool,
        lost: set[tuple[int, int]],
    ) -> str | None:
        if attempt is None:
            return "unknown"
        if attempt.is_answer:
            return None if is_same else "recorded with other bytes"
        if attempt.state is AttemptState.OPEN:
            # A poison item is never asked again: its own stay unresolved.
            is_told = (attempt.number, attempt.attempt) in lost
            is_last = attempt.number in self._plan.poison
            return None if is_told or is_last else "forgotten"
        failure = attempt.failure
        return None if failure and failure.possibly_billed else "told as free"
