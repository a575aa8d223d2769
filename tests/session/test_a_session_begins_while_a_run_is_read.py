"""Nobody locks a run to look at it: a session may begin meanwhile, and end."""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from session_stage import Killed, Script, Stage

from runner.api import Run
from runner.api_records import Changes
from runner.checkpoint.manifest import Manifest
from runner.checkpoint.reading import RunReader, ShardReader

ITEMS = 6
LOOKS: dict[str, Callable[[Run], int]] = {
    "status": lambda run: run.status().totals.valid,
    "export": lambda run: run.export().valid,
    "show": lambda run: run.show(f"line:{ITEMS}").number + 1,
    "unresolved": lambda run: ITEMS - run.unresolved().count,
    "verify": lambda run: run.verify().outcomes * run.verify().is_sound,
    "backup": lambda run: run.backup(run.folder.parents[1] / "copy").outcomes,
}
"""What each of them says of a run that is finished: so many items."""


def at_rest(stage: Stage) -> None:
    """No -wal file is left: as in a copy, or after a resume that was refused."""
    for database in stage.run.folder.glob("shard-*/cache.db"):
        with contextlib.closing(sqlite3.connect(database)) as last:
            last.execute("PRAGMA user_version").fetchone()
    assert not list(stage.run.folder.glob("shard-*/cache.db-wal"))


def meanwhile(
    monkeypatch: pytest.MonkeyPatch,
    where: type,
    name: str,
    stage: Stage,
    **wishes: Any,
) -> None:
    """Have a session begin and end just before that is first called."""
    real, left = getattr(where, name), [stage.session]

    def called(*words: Any, **named: Any) -> Any:
        while left:
            left.pop()(**wishes)
            at_rest(stage)
        return real(*words, **named)

    monkeypatch.setattr(where, name, called)


@pytest.mark.parametrize("look", LOOKS)
def test_shards_that_came_after_the_manifest_was_read_are_no_damage(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, look: str
) -> None:
    stage.start(*map(str, range(ITEMS)))
    meanwhile(monkeypatch, Manifest, "refuse_unlisted_shards", stage)
    assert LOOKS[look](stage.run) == ITEMS


@pytest.mark.parametrize("look", LOOKS)
def test_records_that_came_while_others_were_read_are_no_damage(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, look: str
) -> None:
    stage.start(*map(str, range(ITEMS)))
    with pytest.raises(Killed):
        stage.session(Script(killed_after=2))
    at_rest(stage)
    meanwhile(monkeypatch, ShardReader, "totals", stage)
    assert LOOKS[look](stage.run) == ITEMS


@pytest.fixture
def written(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Lines of each processed file that takes its place; two items are recorded."""
    stage.start(*map(str, range(ITEMS)))
    with pytest.raises(Killed):
        stage.session(Script(killed_after=2))
    at_rest(stage)
    processed, real = stage.run.config.output.processed_path, Path.replace
    lines: list[int] = []

    def replace(new: Path, old: Path) -> Path:
        if old == processed:
            lines.append(len(new.read_bytes().splitlines()))
        return real(new, old)

    monkeypatch.setattr(Path, "replace", replace)
    return lines


def test_files_that_a_session_wrote_are_not_replaced_by_what_was_read_before_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, written: list[int]
) -> None:
    """Also where it came when all was read, and nothing replaced yet."""
    meanwhile(monkeypatch, RunReader, "sessions", stage)
    assert stage.run.export().valid == ITEMS
    assert written == [ITEMS, ITEMS]  # the session's own, and this one


def test_what_was_read_of_two_times_is_never_written(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, written: list[int]
) -> None:
    """Nor for a moment: the session wrote no files that would show it as older."""
    limit = Changes(limit=1)
    meanwhile(monkeypatch, RunReader, "sessions", stage, changes=limit)
    summary = stage.run.export()
    assert written == [summary.valid]
    assert summary.valid > 2
