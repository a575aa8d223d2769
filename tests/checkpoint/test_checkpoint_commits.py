"""What is called recorded is on disk, whole, and counted in the same moment."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import diskcache
import pytest
from checkpoint_builders import answered, begun, outcome
from failing_store import FULL, FailingStore, fail_with, failing

from runner.checkpoint import committer
from runner.checkpoint.committer import words_of
from runner.checkpoint.entries import TOTALS_KEY
from runner.checkpoint.shard import Shard, create_shard
from runner.errors import StoreClosed, StoreError


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A run folder with an empty shard 1."""
    create_shard(tmp_path, "run-a", 1)
    return tmp_path


def test_an_outcome_is_told_once_and_only_as_what_became_of_it(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full just then: the supervisor never hears of success."""
    told: list[StoreError | None] = []
    with failing(monkeypatch):
        shard = Shard(run_folder, 1)
        fail_with(monkeypatch, FULL)
        shard.record(outcome(), b"{}", None, told.append)
        shard.close()

    assert [type(error) for error in told] == [StoreError]


def test_what_comes_after_the_end_is_told_apart_from_a_disk_that_fails(
    run_folder: Path,
) -> None:
    """A rule that returns when nobody waits for it any more is no reason to stop."""
    told: list[StoreError | None] = []
    shard = Shard(run_folder, 1)
    shard.close()
    shard.record(outcome(), b"{}", None, told.append)

    assert [type(error) for error in told] == [StoreClosed]


def test_a_failure_without_words_is_told_by_what_caused_it() -> None:
    """Diskcache makes a Timeout of whatever goes wrong when a transaction begins."""
    timeout = diskcache.Timeout()
    timeout.__cause__ = sqlite3.OperationalError(FULL)
    assert FULL == words_of(timeout)
    assert "Timeout" == words_of(diskcache.Timeout())


def test_after_one_failed_commit_nothing_more_is_begun(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even once the disk takes something again: a session has ended by then."""
    with failing(monkeypatch):
        shard = Shard(run_folder, 1)
        fail_with(monkeypatch, FULL)
        with pytest.raises(StoreError):
            shard.begin(begun(0))
        monkeypatch.setattr(FailingStore, "message", None)

        with pytest.raises(StoreError):
            shard.begin(begun(1))
        assert shard.failure is not None
        shard.close()


class WatchedStore(FailingStore):
    """Notes what is written outside a transaction."""

    outside: list[str]

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._is_inside = False

    @contextlib.contextmanager
    def transact(self) -> Iterator[None]:
        """All of it or nothing."""
        with self._store.transact():
            self._is_inside = True
            yield
            self._is_inside = False

    def set(self, key: str, sealed: bytes) -> Any:
        """Write one record."""
        if not self._is_inside:
            self.outside.append(key)
        return self._store.set(key, sealed)


def test_a_record_and_the_totals_that_count_it_are_one_transaction(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between two, `status` would be wrong for ever."""
    monkeypatch.setattr(WatchedStore, "outside", [], raising=False)
    with monkeypatch.context() as patch:
        patch.setattr(committer, "open_store", WatchedStore)
        shard = Shard(run_folder, 1)
    attempt = begun()
    shard.begin(attempt)
    shard.settle(attempt, answered(attempt), b"{}")
    shard.close()

    assert TOTALS_KEY not in WatchedStore.outside
    assert WatchedStore.outside == []


def test_an_outcome_in_place_of_another_counts_once(run_folder: Path) -> None:
    """A retried item is one item, not two."""
    shard = Shard(run_folder, 1)
    first = outcome()
    shard.record_now(first, b"{}", None)
    shard.record_now(outcome(generation=1), b"{}", first)
    totals = shard.totals()
    shard.close()

    assert totals.valid == 1
