"""Of two exports of a run the later beginning counts, whichever is ready first."""

import contextlib
import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from session_stage import Killed, Script, Stage, valid_but

from runner.api_records import Progress
from runner.checkpoint import locks
from runner.checkpoint.undisturbed import Look
from runner.config import Format
from runner.errors import OutputError
from runner.records import OutcomeState
from runner.run_folder import EXPORTS
from runner.session import noting
from runner.summary import Summary

SUFFIXES = ("_processed.jsonl", "_failed.jsonl", "_summary.json")


def files(stage: Stage, stem: str = "items") -> list[bytes]:
    """What stands in the three files of that stem."""
    return [(stage.folder / f"{stem}{suffix}").read_bytes() for suffix in SUFFIXES]


def lines(stage: Stage, stem: str = "items") -> int:
    """How many items are in the processed file."""
    return len(files(stage, stem)[0].splitlines())


def notes(stage: Stage) -> dict[str, Any]:
    """What the run knows of its files."""
    stored: dict[str, Any] = json.loads((stage.run.folder / EXPORTS).read_bytes())
    return stored


def at_its_end(do: Callable[[], object]) -> Progress:
    """Have something else happen when all lines are written, and nothing replaced."""
    left = [do]

    def told(_what: str, done: int, total: int) -> None:
        if done == total and left:
            left.pop()()

    return told


@pytest.fixture
def at_work(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Two of five items are answered, and a session goes on with the others."""
    stage.start("a", "b", "c", "d", "e")
    with pytest.raises(Killed):
        stage.session(Script(killed_after=2))
    monkeypatch.setattr("runner.session.exporting.undisturbed", as_one_at_work)
    return stage


def as_one_at_work(run_folder: Path, read: Callable[[Look], Any]) -> Any:
    """It is read in one look, as a run that somebody works on."""
    with contextlib.ExitStack() as opened:
        return read(Look(run_folder, opened, is_last=True))


def test_what_was_read_while_a_run_worked_replaces_no_file_of_the_finished_run(
    at_work: Stage,
) -> None:
    """The run finished meanwhile, and wrote all there is."""
    finished: list[list[bytes]] = []

    def finish() -> None:
        at_work.session()
        finished.append(files(at_work))

    older = at_work.run.export(on_progress=at_its_end(finish))

    assert (True, 2) == (older.overtaken, older.valid)
    assert finished == [files(at_work)]
    assert 5 == lines(at_work)
    assert [] == list(at_work.folder.glob(".*.tmp"))
    assert not at_work.run.export().overtaken


def test_lines_of_another_format_are_asked_for_again(at_work: Stage) -> None:
    """The finished run's files do not have them: nobody is told that they do."""
    own = at_work.folder / "items_processed.jsonl"

    def export(**more: Any) -> Summary:
        return at_work.run.export(processed_path=own, format=Format.BATCH, **more)

    with pytest.raises(OutputError, match=r"began later \(--format jsonl\)") as told:
        export(on_progress=at_its_end(at_work.session))

    assert "items_processed.jsonl was written meanwhile" in str(told.value)
    assert "do this again" in (told.value.hint or "")
    assert 5 == lines(at_work)
    assert export().format == "batch"


def test_another_format_goes_beside_the_runs_own_files(at_work: Stage) -> None:
    """Nobody finds in their place what he did not ask for there."""
    at_work.session()
    before = files(at_work)
    for each in (Format.BATCH, Format.ANSWERS):
        at_work.run.export(format=each)
        summary = json.loads(
            (at_work.folder / f"items_{each}_summary.json").read_bytes()
        )
        assert (f"items_{each}.jsonl", each) == (
            summary["files"]["processed"]["name"],
            summary["format"],
        )
        assert (at_work.folder / f"items_{each}_failed.jsonl").read_bytes() == b""
    assert before == files(at_work)


def test_a_newer_export_that_was_killed_is_not_taken_for_all_there_is(
    at_work: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of its files is there; the older one puts nothing in its place."""
    at_work.run.export()
    real = os.replace

    def killed_after(source: Path, target: Path) -> None:
        if target.name == "items_failed.jsonl":
            raise Killed
        real(source, target)

    def finish() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", killed_after)
            with pytest.raises(Killed):
                at_work.session()

    with pytest.raises(OutputError, match=r"items_processed\.jsonl was written mean"):
        at_work.run.export(on_progress=at_its_end(finish))
    assert 5 == lines(at_work)

    summary = at_work.run.export()
    assert (5, False) == (summary.valid, summary.overtaken)
    assert json.loads(files(at_work)[2])["items"]["valid"] == 5


def test_two_exports_to_different_files_are_both_remembered(at_work: Stage) -> None:
    """Each may be replaced by the next one, without --overwrite."""
    one, two = at_work.folder / "one.jsonl", at_work.folder / "two.jsonl"
    run = at_work.run
    run.export(
        processed_path=one,
        on_progress=at_its_end(lambda: run.export(processed_path=two)),
    )

    assert 6 == len(notes(at_work))
    run.export(processed_path=one)
    run.export(processed_path=two)


def test_the_same_answers_may_be_written_over_and_over(at_work: Stage) -> None:
    """Of two that began alike the last one counts."""
    run = at_work.run
    summary = run.export(on_progress=at_its_end(run.export))
    assert not summary.overtaken
    assert b'"llm"' in files(at_work)[0]


def test_files_that_an_earlier_version_has_noted_are_replaced(at_work: Stage) -> None:
    """It did not note how much they hold."""
    run = at_work.run

    def export_as_it_was() -> None:
        run.export()
        old = {
            path: {name: each[name] for name in ("bytes", "mtime_ns", "sha256")}
            for path, each in notes(at_work).items()
        }
        (run.folder / EXPORTS).write_text(json.dumps(old))

    assert not run.export(on_progress=at_its_end(export_as_it_was)).overtaken
    assert all("records" in each for each in notes(at_work).values())
    assert not run.export().overtaken


def test_an_older_copy_of_the_shards_is_exported_although_the_notes_are_newer(
    at_work: Stage,
) -> None:
    """Somebody put it back; nothing else is under way that would write more."""
    run = at_work.run
    run.export()
    ahead = {
        path: {**each, "records": 1_000_000} for path, each in notes(at_work).items()
    }
    (run.folder / EXPORTS).write_text(json.dumps(ahead))

    assert not run.export().overtaken
    assert all(each["records"] < 1_000_000 for each in notes(at_work).values())


def test_nobody_waits_for_an_export_while_it_writes_lines(at_work: Stage) -> None:
    """However long that takes."""
    free: list[bool] = []

    def told(_what: str, _done: int, _total: int) -> None:
        with locks.export_turn(at_work.run.folder):
            free.append(True)

    at_work.run.export(on_progress=told)
    assert free == [True, True]


def test_files_are_compared_and_replaced_while_nobody_else_does(
    at_work: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From reading the notes to writing them, before the lines and after."""
    taken: list[str] = []

    def seen(name: str) -> None:
        real = getattr(noting, name)

        def called(*words: Any, **named: Any) -> Any:
            taken.append(name if _is_taken(at_work.run.folder) else "nobody")
            return real(*words, **named)

        monkeypatch.setattr(noting, name, called)

    for name in ("files_of_ours", "check_targets", "ours_now", "write_json"):
        seen(name)
    at_work.run.export()

    begin, end = ["files_of_ours", "check_targets"], ["files_of_ours", "ours_now"]
    assert [*begin, *end, "write_json", "write_json"] == taken
    assert not _is_taken(at_work.run.folder)


def test_an_export_that_never_gets_its_turn_says_so_and_leaves_all_as_it_is(
    at_work: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody stopped the other one with Ctrl-Z, just then."""
    before = at_work.run.export()
    monkeypatch.setattr(locks, "_TURN_S", 0.0)
    held = os.open(at_work.run.folder, os.O_RDONLY)

    def stopped_there() -> None:
        fcntl.flock(held, fcntl.LOCK_EX)

    with pytest.raises(OutputError, match="another export of run items") as told:
        at_work.run.export(on_progress=at_its_end(stopped_there))
    os.close(held)

    assert "end that process" in (told.value.hint or "")
    assert [] == list(at_work.folder.glob(".*.tmp"))
    assert before == at_work.run.export()


def test_a_session_that_finishes_keeps_what_a_later_one_has_written(
    at_work: Stage,
) -> None:
    """The run was resumed again while the files were being written."""
    finish = at_work.session(
        Script(states=valid_but(4, state=OutcomeState.INVALID)),
        on_progress=at_its_end(lambda: at_work.session(retry_invalid=True)),
    )
    assert finish.summary
    assert (True, 1) == (finish.summary.overtaken, finish.summary.invalid)
    assert b'"valid":false' not in files(at_work)[0]


def _is_taken(folder: Path) -> bool:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)
