"""A damaged page can bring back what a record was before: that counts as a loss."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from damage.looks import sound
from damage.originals import Maker
from runner.api import Run
from runner.checkpoint.entries import attempt_key, outcome_key
from runner.checkpoint.shard import shard_folder
from runner.checkpoint.store import DATABASE
from runner.records import OutcomeState
from runner.run_status import RunState

SLOT = 2
"""Of items with odd numbers."""


@pytest.fixture
def maker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Maker:
    """A run to fill."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    return Maker(tmp_path, "older", items=8)


def stored(maker: Maker, key: str) -> bytes:
    """A record as it stands now."""
    with opened(maker) as database:
        query = "SELECT value FROM Cache WHERE key = ?"
        value: bytes = database.execute(query, (key,)).fetchone()[0]
    return value


def brought_back(maker: Maker, key: str, value: bytes) -> None:
    """End the run's work; that record is what it was before."""
    maker.close()
    maker.mark()
    maker.beat(RunState.FINISHED)
    with opened(maker) as database:
        database.execute("UPDATE Cache SET value = ? WHERE key = ?", (value, key))


@contextlib.contextmanager
def opened(maker: Maker) -> Iterator[sqlite3.Connection]:
    """The database of the shard."""
    path = shard_folder(maker.folder, SLOT) / DATABASE
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        yield database


def test_a_reply_kept_aside_does_not_hide_that_another_one_is_lost(
    maker: Maker,
) -> None:
    """As many attempts look open as were; but not the same ones."""
    attempt, key = maker.begin(1), attempt_key(1, 1)
    value = stored(maker, key)
    maker.settle(attempt)
    maker.record(1, OutcomeState.VALID)
    maker.rescue(maker.begin(3))
    brought_back(maker, key, value)

    made = Run(maker.folder).salvage()

    totals = Run(made.folder).status().totals
    assert (totals.begun, totals.answered, totals.lost) == (2, 2, 0)
    assert made.lost == 1
    assert sound(made.folder)


def test_an_outcome_from_before_a_retry_is_told_as_a_loss(maker: Maker) -> None:
    """It would stand for the answer that was paid for since."""
    maker.settle(maker.begin(1))
    maker.record(1, OutcomeState.FAILED)
    value = stored(maker, outcome_key(1))
    maker.settle(maker.begin(1))
    maker.record(1, OutcomeState.VALID, slot=SLOT)
    brought_back(maker, outcome_key(1), value)

    assert Run(maker.folder).salvage().may_be_more
