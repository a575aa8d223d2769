"""A new rule over what is stored: nothing is sent, nothing paid for is left out."""

import contextlib
import json
import shutil
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from session_stage import KEY, Killed, Script, Stage, valid_but

from runner.api import Run
from runner.api_records import Changes
from runner.checkpoint.entries import Attempt, InvalidAnswer
from runner.checkpoint.shard import Shard
from runner.cli import main
from runner.config import Service, TaskSpec
from runner.durable import with_checksum, without_checksum, write_json
from runner.errors import HalfJudged, RunChanged, StateDamaged, TaskError, UsageError
from runner.itemfile import ItemIndex, ItemReader
from runner.records import AttemptState, OutcomeState
from runner.run_folder import MANIFEST
from runner.session.rejudging import JUDGING
from runner.task import load_task
from runner.worker.wants import digest_of

NOT_THE_LAST = Changes(valid_regex="row [01]")
"""A rule by which the third of three answers is invalid."""


def test_an_answer_of_an_item_whose_workers_died_is_judged_too(stage: Stage) -> None:
    """It was the rule that killed them; mended, the answer that was paid for counts."""
    stage.start("a", "b", "c")
    stage.session(Script(states=valid_but(1, state=OutcomeState.FAILED)))
    assert stage.states()[1] is OutcomeState.FAILED

    done = stage.run.rejudge(Changes(valid_regex="row"))

    assert (done.judged, done.changed_to_valid) == (3, 1)
    assert set(stage.states()) == {OutcomeState.VALID}
    assert stage.outcomes()[1].answer == (1, 1)
    assert stage.run.verify().is_sound


def test_what_a_rule_says_when_it_raises_does_not_show_the_key(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reasons are stored, exported and shown."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY[3:])
    task = tmp_path / "mine.py"
    source = "def get_prompt(item): return item['text']\n"
    task.write_text(source)
    spec = TaskSpec(task_path=task, model="gpt-4o-mini")
    stage.start("a", task=spec)
    stage.session()
    task.write_text(
        f"{source}import os\n"
        "def is_response_valid(text): raise ValueError(os.environ['OPENAI_API_KEY'])\n"
    )

    stage.run.rejudge()

    assert "ValueError: [redacted]" in (stage.outcomes()[0].reason or "")


def test_nor_where_the_key_is_in_a_file(stage: Stage, tmp_path: Path) -> None:
    task, key_path = tmp_path / "mine.py", tmp_path / "key"
    key_path.write_text("secret-of-a-file")
    key_path.chmod(0o600)
    source = "def get_prompt(item): return item['text']\n"
    task.write_text(source)
    service = Service(base_url="http://127.0.0.1:9/v1", api_key_path=key_path)
    spec = TaskSpec(task_path=task, model="gpt-4o-mini")
    stage.start("a", task=spec, service=service)
    stage.session()
    raises = (
        f"raise ValueError(__import__('pathlib').Path({str(key_path)!r}).read_text())"
    )
    task.write_text(f"{source}def is_response_valid(text): {raises}\n")

    stage.run.rejudge()

    assert "ValueError: [redacted]" in (stage.outcomes()[0].reason or "")


def killed_after_one_verdict(stage: Stage, changes: Changes) -> None:
    """A rejudgement that ends by Ctrl-C, or by something worse."""

    def kill(what: str, done: int, _total: int) -> None:
        if (what, done) == (JUDGING, 1):
            raise Killed

    with pytest.raises(Killed):
        stage.run.rejudge(changes, on_progress=kill)


@pytest.fixture
def half(stage: Stage) -> Stage:
    """Three valid items, of which one was judged by the new rule."""
    stage.start("a", "b", "c")
    stage.session()
    killed_after_one_verdict(stage, NOT_THE_LAST)
    return stage


def test_a_mixture_of_two_rules_is_neither_exported_nor_paid_for(half: Stage) -> None:
    """An item that the rule in force accepts could be asked, and paid, again."""
    for use in (half.run.export, lambda: half.session(retry_invalid=True)):
        with pytest.raises(HalfJudged) as refused:
            use()
        assert refused.value.hint == "`runner rejudge items` finishes it, free"
        assert "\n" not in str(refused.value)
    assert len(half.engines) == 1


def test_status_and_verify_tell_of_it_and_find_no_damage(
    half: Stage, capfd: pytest.CaptureFixture[str]
) -> None:
    def told() -> tuple[bool, bool]:
        found = half.run.verify()
        assert found.is_sound
        return half.run.status().is_half_judged, found.is_half_judged

    assert told() == (True, True)
    assert main(["verify", "items", "--state-dir", str(half.state_dir)]) == 0
    assert "a rejudgement is not finished" in capfd.readouterr().out
    half.run.rejudge()
    assert told() == (False, False)


def test_a_rule_that_is_dropped_judges_no_more(stage: Stage) -> None:
    stage.start("a", "b", "c")
    stage.session()
    assert stage.run.rejudge(NOT_THE_LAST).changed_to_invalid == 1
    dropped = Changes(dropped_rules=("valid_regex", "choices", "schema"))
    assert stage.run.rejudge(dropped).changed_to_valid == 1
    assert stage.run.rejudge().judged == 3
    assert stage.states() == [OutcomeState.VALID] * 3


def test_rejudge_without_a_rule_finishes_what_was_interrupted(half: Stage) -> None:
    done = half.run.rejudge()

    assert (done.judged, done.changed_to_invalid) == (3, 1)
    assert half.states() == [*[OutcomeState.VALID] * 2, OutcomeState.INVALID]
    assert half.run.export().invalid == 1
    half.session(retry_invalid=True)
    assert half.asked == [2]


def test_a_rejudgement_is_finished_over_items_that_were_moved_meanwhile(
    half: Stage,
) -> None:
    """Where they are by now is noted all the same; nobody is asked anything."""
    elsewhere = half.items_path.rename(half.folder / "moved.jsonl")
    with pytest.raises(RunChanged, match="runner resume RUN --items F --out F"):
        half.run.rejudge()
    with pytest.raises(HalfJudged):
        half.session(changes=Changes(items_path=elsewhere), retry_invalid=True)
    assert half.run.rejudge().judged == 3
    assert half.run.export().invalid == 1
    assert len(half.engines) == 1


def test_a_copy_of_half_a_rejudgement_knows_that_it_is_one(
    half: Stage, tmp_path: Path
) -> None:
    """A backup, or what a salvage could read."""
    half.run.backup(tmp_path / "copy")
    for copy in (Run(tmp_path / "copy"), Run(half.run.salvage().folder)):
        with pytest.raises(HalfJudged):
            copy.export()


def test_a_run_of_before_there_was_a_mark_is_exported_as_ever(stage: Stage) -> None:
    stage.start("a")
    stage.session()
    path = stage.run.folder / MANIFEST
    stored = without_checksum(json.loads(path.read_bytes()))
    del stored["is_half_judged"]
    write_json(path, with_checksum(stored))

    assert stage.run.export().valid == 1


@pytest.mark.parametrize(
    ("texts", "rule", "refusal", "says"),
    [
        (("a", "b", "C"), NOT_THE_LAST, RunChanged, "items.jsonl:3 changed since"),
        (("a", "b"), NOT_THE_LAST, RunChanged, "items.jsonl:3 changed since"),
        (("a", "b", "c"), Changes(valid_regex="(open"), TaskError, "regex"),
    ],
)
def test_a_rejudgement_that_cannot_end_changes_nothing(
    stage: Stage,
    texts: tuple[str, ...],
    rule: Changes,
    refusal: type[Exception],
    says: str,
) -> None:
    """An edited line, a missing one, a rule that is none."""
    stage.start("a", "b", "c")
    stage.session()
    before = (stage.manifest, stage.outcomes())
    stage.write_items(*texts)

    with pytest.raises(refusal, match=says):
        stage.run.rejudge(rule)

    assert before == (stage.manifest, stage.outcomes())
    stage.write_items("a", "b", "c")
    assert stage.run.export().valid == 3


def test_lines_added_below_are_no_reason_not_to_judge_those_above(stage: Stage) -> None:
    stage.start("a", "b", "c")
    stage.session()
    stage.write_items("a", "b", "c", "d")

    assert stage.run.rejudge(NOT_THE_LAST).changed_to_invalid == 1


def test_half_a_rejudgement_of_items_that_nobody_has_any_more_can_be_ended(
    half: Stage,
) -> None:
    """Whoever takes the new items over is told what is still to be done."""
    half.write_items("a", "other", "c")
    with pytest.raises(RunChanged):
        half.run.rejudge()
    with pytest.raises(HalfJudged):
        half.session(accept_changes=True)
    assert len(half.engines) == 1

    assert half.run.rejudge().changed_to_invalid == 1
    half.session()
    assert half.asked == [1]
    assert half.run.export().invalid == 1


def test_verdicts_of_before_are_not_taken_for_those_of_the_new_rule(
    stage: Stage,
) -> None:
    """An older copy of the shard they are in: it holds fewer records than it did."""
    stage.start("a", "b")
    stage.session()
    shard = stage.run.folder / "shard-00"
    shutil.copytree(shard, stage.folder / "older")
    stage.run.rejudge(Changes(valid_regex="no answer is like this"))
    shutil.rmtree(shard)
    shutil.copytree(stage.folder / "older", shard)

    with pytest.raises(StateDamaged, match="shard 0 of run items was given"):
        stage.run.export()
    assert not stage.run.verify().is_sound


def test_a_valid_item_whose_earlier_answer_wins_now_is_counted(stage: Stage) -> None:
    """Its state is as before, what is exported is not."""
    stage.start("a", "b", "c")
    stage.session(Script(states=valid_but(1, 2, state=OutcomeState.INVALID)))
    stage.session(retry_invalid=True)
    by_the_second = Changes(valid_regex="row 0|attempt 2")
    done = stage.run.rejudge(by_the_second)
    assert (done.changed_to_valid, done.changed_to_invalid) == (0, 0)
    assert done.another_answer == 0

    done = stage.run.rejudge(Changes(valid_regex="row [012]"))

    assert (done.changed_to_valid, done.changed_to_invalid) == (0, 0)
    assert done.another_answer == 2
    assert [each.answer for each in stage.outcomes()] == [(1, 1)] * 3


def test_an_answer_to_another_question_never_takes_the_place_of_one_to_this(
    stage: Stage,
) -> None:
    """The prompt was changed; by its words the answer to the old one would do."""
    stage.start("a", "b", "c")
    old = Script(states=valid_but(1, 2, state=OutcomeState.INVALID), question="old")
    stage.session(old)
    stage.session(Script(question="new"), retry_invalid=True)

    done = stage.run.rejudge(Changes(valid_regex="row"))

    assert (done.judged, done.another_answer) == (3, 0)
    assert [each.answer for each in stage.outcomes()] == [(1, 1), (1, 2), (1, 2)]
    assert [each.invalid_answers for each in stage.outcomes()] == [0, 1, 1]


def test_an_item_that_failed_keeps_its_reason_where_no_answer_is_valid_now(
    stage: Stage,
) -> None:
    """Else `--retry-failed` would no longer ask it."""
    stage.start("a", "b", "c")
    stage.session(Script(states=valid_but(1, state=OutcomeState.FAILED)))
    before = stage.outcomes()[1]

    done = stage.run.rejudge(Changes(valid_regex="row [02]"))

    assert done.changed_to_invalid == 0
    assert stage.outcomes()[1] == before


def test_requests_are_those_of_all_attempts_also_of_a_retry_that_was_cut_off(
    stage: Stage,
) -> None:
    """They stand beside the usage and the cost of all of them."""
    stage.start("a", "b")
    stage.session(Script(states=valid_but(0, 1, state=OutcomeState.INVALID)))
    with pytest.raises(Killed):
        stage.session(Script(killed_after=1), retry_invalid=True)
    stage.engines[-1].close()

    stage.run.rejudge(Changes(valid_regex="never"))

    assert [each.requests for each in stage.outcomes()] == [2, 2]


def test_what_an_interrupted_retry_told_of_is_taken_back(stage: Stage) -> None:
    """Its third request told that the second answer was invalid: by now it is not."""
    stage.start("a")
    stage.session(Script(states=valid_but(0, state=OutcomeState.INVALID)))
    retried_twice(stage)
    assert stage.run.status().totals.invalid_answers == 1

    stage.run.rejudge(Changes(valid_regex="(?s).*row.*"))

    totals = stage.run.status().totals
    assert (totals.valid, totals.answered) == (1, 2)
    assert (totals.invalid_answers, totals.invalid_answers_usd) == (0, Decimal(0))
    assert stage.run.verify().is_sound


def retried_twice(stage: Stage) -> None:
    """One more answer, judged invalid, and the next request under way: killed."""
    reader = stage.manifest.open_reader(stage.run.folder, live=False)
    ((first, body),) = reader.attempts(0)
    reader.close()
    second = replace(first, attempt=2, is_retry=True)
    third = replace(
        begun(second),
        attempt=3,
        follows_invalid=InvalidAnswer(attempt=2, cost_usd=second.cost_usd),
    )
    with contextlib.closing(Shard(stage.run.folder, 1)) as shard:
        shard.begin(begun(second))
        shard.settle(begun(second), second, body)
        shard.begin(third)


def begun(attempt: Attempt) -> Attempt:
    """As it was before anything came back."""
    return replace(
        attempt, state=AttemptState.OPEN, status=None, usage=None, cost_usd=None
    )


def test_what_is_no_rule_is_refused_and_not_kept(stage: Stage) -> None:
    """Nobody would have consented to another model."""
    stage.start("a")
    stage.session()
    before = stage.manifest
    with pytest.raises(UsageError, match="takes rules, not max_cost_usd, model"):
        stage.run.rejudge(Changes(model="gpt-4o", max_cost_usd=Decimal(5)))
    assert before == stage.manifest


def test_an_answer_that_is_there_already_spares_a_pending_item_its_next_request(
    stage: Stage,
) -> None:
    """Mended rule, rejudge, resume: as the closing lines of such a stop say."""
    stage.start("a", "b")
    stage.session(changes=Changes(limit=1))
    answered_without_outcome(stage, row=1)
    assert stage.run.status().pending == 1

    strict = stage.run.rejudge(Changes(valid_regex="never"))
    assert (strict.judged, stage.run.status().pending) == (2, 1)
    done = stage.run.rejudge(Changes(valid_regex="(?s).*row.*"))

    assert (done.judged, done.changed_to_valid) == (2, 2)
    assert stage.session().nothing_left
    assert stage.run.verify().is_sound
    assert stage.run.status().totals.invalid_answers == 0


def test_an_answer_to_a_former_question_spares_it_none(stage: Stage) -> None:
    """Prompt or model were changed: the item is to be asked anew."""
    stage.start("a", "b")
    stage.session(changes=Changes(limit=1))
    answered_without_outcome(stage, row=1, is_asked_now=False)
    stage.run.rejudge(Changes(valid_regex="(?s).*row.*"))
    assert stage.run.status().pending == 1


def answered_without_outcome(
    stage: Stage, row: int, *, is_asked_now: bool = True
) -> None:
    """An answer is on disk, and its worker was stopped before the next request."""
    reader = stage.manifest.open_reader(stage.run.folder, live=False)
    ((first, body),) = reader.attempts(0)
    reader.close()
    index = ItemIndex.open(stage.run.folder / stage.manifest.index)
    ref = index.ref(row)
    fingerprint = ref.fingerprint.hex()
    question = load_task(stage.run.config.task)
    with ItemReader(stage.items_path, index, None) as items:
        asked = digest_of(question.request_for(items.read(row)))
    attempt = replace(
        first,
        number=ref.number,
        item_id=row,
        fingerprint=fingerprint,
        request_digest=asked if is_asked_now else "another question",
    )
    with contextlib.closing(Shard(stage.run.folder, 1)) as shard:
        shard.begin(begun(attempt))
        shard.settle(begun(attempt), attempt, body)
