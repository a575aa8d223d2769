"""A new validity rule over stored answers: no request, no cost.

Every answer an item ever got to the question that it was asked last is judged again,
oldest first; the first valid one wins. Outcomes that change are recorded in the
supervisor's shard.

Floor: the run.
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

from runner.answers import read_answer
from runner.api_records import Changes, Progress, Rejudged
from runner.checkpoint.entries import Attempt, Outcome
from runner.checkpoint.history import History, history_of, outcome_of
from runner.checkpoint.manifest import Manifest
from runner.checkpoint.reading import RunReader
from runner.checkpoint.shard import Shard
from runner.clock import Clock
from runner.config import RunConfig
from runner.errors import RunChanged, StoreError, TaskError, UsageError
from runner.itemfile import ItemIndex, ItemReader
from runner.keys import resolve_key
from runner.records import Answer, Item, OutcomeState, Verdict
from runner.redaction import Redactor
from runner.run_folder import SUPERVISOR_SLOT
from runner.session.changes import (
    changed_config,
    identity_of,
    refuse_all_but_rules,
)
from runner.supervisor.opened import holding
from runner.task import Patience, Task, load_task, may_be_a_rule
from runner.worker.result import result_json
from runner.worker.wants import digest_of

CHECKING_ITEMS = "checking items"
JUDGING = "judging answers"
_ZERO = Decimal(0)
_FAILED = OutcomeState.FAILED


def rejudge(
    run_folder: Path,
    changes: Changes | None,
    *,
    clock: Clock,
    on_progress: Progress | None,
) -> Rejudged:
    """Judge all stored answers by the rules as they are now.

    Killed or failed on the way, the run says so until this is done again.
    Raises RunLocked while a session works on the run, UsageError for what is no rule,
    TaskError for the rules and RunChanged for the items before anything is changed.
    """
    refuse_all_but_rules(changes)
    with contextlib.ExitStack() as opened:
        manifest = opened.enter_context(holding(run_folder, clock))
        config = changed_config(manifest.config, changes)
        task = _rules_of(manifest.config, config, Patience(clock))
        index = ItemIndex.open(run_folder / manifest.index)
        items = ItemReader(config.items_path, index, config.id_field)
        opened.callback(items.close)
        _check_items(items, index, manifest, on_progress)
        manifest = manifest.with_shard(run_folder, SUPERVISOR_SLOT)
        reader = manifest.open_reader(run_folder, live=True)
        opened.callback(reader.close)
        reader.check_keys()
        shard = Shard(run_folder, SUPERVISOR_SLOT)
        opened.callback(shard.close)
        key = _known_key(config)
        court = _Court(task, reader, shard, clock, key)
        with _half_judged(run_folder, manifest, config, shard):
            for row in range(len(index)):
                court.try_item(items.read(row))
                if on_progress:
                    on_progress(JUDGING, row + 1, len(index))
            return court.result()


def _known_key(config: RunConfig) -> str | None:
    """The run's key, if it is still where it was: what a rule says may hold it."""
    service = config.service
    try:
        return resolve_key(service.api_key_env, service.api_key_path, None)
    except UsageError:
        return None  # nothing is sent: none is needed


@contextlib.contextmanager
def _half_judged(
    run_folder: Path, manifest: Manifest, config: RunConfig, shard: Shard
) -> Iterator[None]:
    """The new rules are the run's; the mark stays where the block does not end well.

    One write brings both: a verdict without the mark would be by a rule unknown. The
    last one notes how many records the shard holds: an older copy of it is refused.
    """
    identity = _with_rules(manifest.identity, identity_of(config))
    ruled = dataclasses.replace(manifest, config=config, identity=identity)
    dataclasses.replace(ruled, is_half_judged=True).save(run_folder)
    yield
    done = dataclasses.replace(ruled, is_half_judged=False)
    done.with_marks({SUPERVISOR_SLOT: shard.totals()}).save(run_folder)


def _check_items(
    items: ItemReader,
    index: ItemIndex,
    manifest: Manifest,
    on_progress: Progress | None,
) -> None:
    """RunChanged where a line is not as it was asked; lines added below do no harm."""
    for row in range(len(index)):
        if not items.is_unchanged(row):
            where = f"{manifest.config.items_path}:{index.line(row)}"
            raise RunChanged(
                f"{where} changed since this run began; nothing is rejudged",
                "put the file back as it was, or have the items as they are now asked:"
                f" `runner resume {manifest.run} --accept-changes`",
            )
        if on_progress:
            on_progress(CHECKING_ITEMS, row + 1, len(index))


def _rules_of(before: RunConfig, after: RunConfig, patience: Patience) -> Task:
    """The task with its new rules; TaskError before anything is changed."""
    if after.task.task_path and not before.task.task_path:
        raise TaskError(
            "this run asks by a prompt, so a task file cannot be its rule",
            "use --valid-regex, --choices or --schema",
        )
    return load_task(after.task, after.items_path, patience)


def _with_rules(before: dict[str, str], now: dict[str, str]) -> dict[str, str]:
    """The identity with new rules; what is asked is compared at the next resume."""
    rules = {name: text for name, text in now.items() if may_be_a_rule(name)}
    return {**{n: t for n, t in before.items() if not may_be_a_rule(n)}, **rules}


class _Court:
    """Judges item by item and counts what changed."""

    def __init__(
        self,
        task: Task,
        reader: RunReader,
        shard: Shard,
        clock: Clock,
        key: str | None,
    ) -> None:
        """`key`: what a rule says when it raises may hold it."""
        self._task = task
        self._reader = reader
        self._shard = shard
        self._clock = clock
        self._without_key = Redactor(key or "").lines
        self._judged = self._to_valid = self._to_invalid = self._another = 0
        self._error: StoreError | None = None

    def result(self) -> Rejudged:
        """What changed, once all of it is on disk; StoreError if it is not."""
        self._shard.close()
        if self._error:
            raise self._error
        return Rejudged(
            judged=self._judged,
            changed_to_valid=self._to_valid,
            changed_to_invalid=self._to_invalid,
            another_answer=self._another,
        )

    def try_item(self, item: Item) -> None:
        """Judge every answer of one item.

        Also where it failed: what killed its workers may have been the rule. One that
        is pending stays so, unless an answer that is there already will do.
        """
        old, told = self._reader.outcome(item.ref.number) or (None, b"")
        attempts = self._reader.attempts(item.ref.number)
        answers = [(attempt, body) for attempt, body in attempts if attempt.is_answer]
        if not answers:
            return  # never answered, or lost in a damage: an outcome is all there is
        if old is None and answers[-1][0].request_digest != self._asked_now(item):
            return  # to be asked something else: what was answered does not tell
        cases = [
            self._judge(item, *answer) for answer in _to_the_last_question(answers)
        ]
        self._judged += len(cases)
        chosen = next((c for c in cases if c.verdict.valid), cases[-1])
        if not chosen.verdict.valid and (old is None or old.state is _FAILED):
            return  # why it failed says more than that its answers are not valid
        invalid = [a for a, _ in answers if not any(c.is_valid(a) for c in cases)]
        history = _with_invalid(history_of([a for a, _ in attempts], old), invalid)
        outcome = self._outcome(item, old, chosen, history)
        result = result_json(
            outcome, chosen.verdict.response, chosen.answer, chosen.attempt, history
        )
        if old is None or result != told or not _is_counted_alike(outcome, old):
            self._shard.record(outcome, result, old, self._heard)
            self._count(old, outcome)

    def _asked_now(self, item: Item) -> str | None:
        """What a resume would ask; None: it could not."""
        try:
            return digest_of(self._task.request_for(item))
        except TaskError:
            return None

    def _judge(self, item: Item, attempt: Attempt, body: bytes) -> "_Case":
        answer = read_answer(attempt.endpoint, body)
        verdict = self._task.judge(item, answer)
        reason = verdict.reason and self._without_key(verdict.reason)
        verdict = dataclasses.replace(verdict, reason=reason)
        return _Case(attempt, answer, verdict)

    def _outcome(
        self, item: Item, old: Outcome | None, chosen: "_Case", history: History
    ) -> Outcome:
        is_valid = bool(chosen.verdict.valid)
        outcome = outcome_of(
            item,
            history,
            state=OutcomeState.VALID if is_valid else OutcomeState.INVALID,
            reason=chosen.verdict.reason,
            answer=(chosen.attempt.slot, chosen.attempt.attempt),
            finished_unix_s=self._clock.unix_s(),
        )
        if old is None:
            return outcome
        # What an interrupted retry has sent since does not end it.
        return dataclasses.replace(outcome, last_attempt=old.last_attempt)

    def _heard(self, error: StoreError | None) -> None:
        self._error = self._error or error

    def _count(self, before: Outcome | None, after: Outcome) -> None:
        if before is not None and before.state is after.state:
            self._another += before.answer != after.answer
            return
        self._to_valid += after.state is OutcomeState.VALID
        self._to_invalid += after.state is OutcomeState.INVALID


@dataclasses.dataclass(frozen=True, slots=True)
class _Case:
    """One stored answer and what the rules say of it now."""

    attempt: Attempt
    answer: Answer | None
    verdict: Verdict

    def is_valid(self, attempt: Attempt) -> bool:
        """Whether it is this attempt's, and valid."""
        return self.attempt is attempt and bool(self.verdict.valid)


def _with_invalid(history: History, invalid: Sequence[Attempt]) -> History:
    """The past by the rules of now."""
    cost_usd = sum((a.cost_usd or _ZERO for a in invalid), _ZERO)
    return dataclasses.replace(
        history, invalid_answers=len(invalid), invalid_usd=cost_usd
    )


def _is_counted_alike(one: Outcome, other: Outcome) -> bool:
    """Whether both add the same to the totals of invalid answers."""
    return (one.invalid_answers, one.told_invalid_answers) == (
        other.invalid_answers,
        other.told_invalid_answers,
    )


def _to_the_last_question(
    answers: Sequence[tuple[Attempt, bytes]],
) -> list[tuple[Attempt, bytes]]:
    """Those to the very request that the last one answers.

    Prompt, model or parameters may have been changed (`--accept-changes`): an earlier
    answer is one to another question, whatever the rule says of its words.
    """
    asked = answers[-1][0].request_digest
    return [each for each in answers if each[0].request_digest == asked]
