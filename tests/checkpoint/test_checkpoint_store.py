"""The store below a shard keeps everything, runs nothing and notices damage."""

import os
import pickle
import sqlite3
from pathlib import Path

import diskcache
import pytest
from checkpoint_builders import answered, begun, outcome
from hypothesis import given
from hypothesis import strategies as st

from runner.checkpoint.entries import attempt_key, outcome_key
from runner.checkpoint.envelope import seal, unseal
from runner.checkpoint.reading import RunReader, ShardReader
from runner.checkpoint.shard import Shard, create_shard, shard_folder
from runner.checkpoint.store import SETTINGS, open_store
from runner.errors import StateDamaged


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A run folder with an empty shard 1."""
    create_shard(tmp_path, "run-a", 1)
    return tmp_path


def fill(run_folder: Path, items: int = 3) -> None:
    """Answered items 0, 1, 2 ... in shard 1."""
    shard = Shard(run_folder, 1)
    for number in range(items):
        attempt = begun(number)
        shard.begin(attempt)
        shard.settle(attempt, answered(attempt), b'{"answer": %d}' % number)
        shard.record_now(outcome(number), b'{"response":"%d"}' % number, None)
    shard.close()


@given(
    st.text(st.characters(max_codepoint=127, categories=["L", "N"]), min_size=1),
    st.dictionaries(st.text(), st.integers() | st.text() | st.none()),
    st.binary(),
)
def test_what_is_sealed_comes_back_byte_for_byte(
    key: str, fields: dict[str, object], body: bytes
) -> None:
    """Lone surrogates, NUL and all."""
    assert unseal(key, seal(key, fields, body)) == (fields, body)


@given(st.data())
def test_any_flipped_byte_is_noticed(data: st.DataObject) -> None:
    """SQLite itself notices none of these."""
    sealed = bytearray(seal("a/1", {"n": 1}, b"paid for"))
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= data.draw(st.integers(1, 255))

    with pytest.raises(StateDamaged):
        unseal("a/1", bytes(sealed))


def test_a_record_moved_to_another_items_key_is_refused() -> None:
    """Never a wrong answer beside an item."""
    with pytest.raises(StateDamaged):
        unseal("o/2", seal("o/1", {}))


def test_the_settings_that_protect_answers_are_in_force(run_folder: Path) -> None:
    """No eviction, no spill files, full sync: diskcache's defaults do the opposite."""
    store = open_store(shard_folder(run_folder, 1))
    found = {name: store.reset(name) for name in SETTINGS}
    (synchronous,) = store._sql("PRAGMA synchronous").fetchone()
    (journal,) = store._sql("PRAGMA journal_mode").fetchone()
    store.close()

    assert dict(SETTINGS) == found
    assert (2, "wal") == (synchronous, journal)


def test_a_new_shard_never_evicts_culls_or_spills(run_folder: Path) -> None:
    """Written out here, so that a change in one place does not go unnoticed."""
    store = open_store(shard_folder(run_folder, 1))
    found = {name: store.reset(name) for name in SETTINGS}
    store.close()

    assert (found["eviction_policy"], found["cull_limit"]) == ("none", 0)
    assert min(found["size_limit"], found["disk_min_file_size"]) >= 2**60


def test_nothing_is_evicted_however_much_is_stored(run_folder: Path) -> None:
    """Diskcache's default forgets the oldest beyond its size limit, silently."""
    store = open_store(shard_folder(run_folder, 1))
    store.reset("size_limit", 2**62)
    for number in range(200):
        store.set(outcome_key(number), seal(outcome_key(number), {}, b"x" * 50_000))
    store.close()

    kept = list(ShardReader(run_folder, 1, live=False).numbers("o"))

    assert list(range(200)) == kept


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("mode", [4, 2, 3])
def test_a_planted_row_is_neither_executed_nor_followed(
    run_folder: Path, tmp_path: Path, mode: int
) -> None:
    """Mode 4 is a pickle (CVE-2025-69872), 2 and 3 name a file to read."""
    fill(run_folder)
    secret = tmp_path / "secret"
    secret.write_text("private")
    database = sqlite3.connect(shard_folder(run_folder, 1) / "cache.db")
    database.execute(
        "UPDATE Cache SET mode = ?, filename = ?, value = ? WHERE key = ?",
        (
            mode,
            None if mode == 4 else str(secret),
            pickle.dumps(Bomb(tmp_path / "executed")),
            outcome_key(1),
        ),
    )
    database.commit()
    database.close()

    store = open_store(shard_folder(run_folder, 1))
    with pytest.raises(StateDamaged):
        store.get(outcome_key(1))
    store.close()
    with pytest.raises(StateDamaged):
        ShardReader(run_folder, 1, live=False).outcome(1)
    assert not (tmp_path / "executed").exists()


def test_only_bytes_are_stored_and_only_under_text(run_folder: Path) -> None:
    """So nothing can ever need unpickling."""
    store = open_store(shard_folder(run_folder, 1))
    with pytest.raises(TypeError):
        store.set("a/1", {"a": 1})
    with pytest.raises(TypeError):
        store.set(("a", 1), b"x")
    store.close()


@pytest.mark.parametrize("damage", ["missing", "empty", "foreign"])
def test_a_shard_that_is_not_there_is_not_taken_for_an_empty_one(
    run_folder: Path, tmp_path: Path, damage: str
) -> None:
    """Otherwise everything would be paid for again."""
    fill(run_folder)
    database = shard_folder(run_folder, 1) / "cache.db"
    if damage == "missing":
        database.unlink()
    elif damage == "empty":
        database.write_bytes(b"")
    else:
        other = tmp_path / "other"
        other.mkdir()
        create_shard(other, "run-b", 1)
        (shard_folder(other, 1) / "cache.db").replace(database)

    told = "belongs to" if damage == "foreign" else "is missing or empty"
    with pytest.raises(StateDamaged, match=told):
        RunReader(run_folder, "run-a", [1], live=False)


def test_reading_needs_no_writable_file(run_folder: Path) -> None:
    """`status` and export work on a full disk and on read-only media."""
    fill(run_folder)
    before = sorted(p.name for p in shard_folder(run_folder, 1).iterdir())

    reader = RunReader(run_folder, "run-a", [1], live=False)
    assert 3 == reader.totals().valid
    reader.close()

    assert before == sorted(p.name for p in shard_folder(run_folder, 1).iterdir())


def test_another_constructor_cannot_change_the_settings_unnoticed(
    run_folder: Path,
) -> None:
    """Settings live in the database; whoever opens it last sets them for all."""
    diskcache.Cache(str(shard_folder(run_folder, 1)), size_limit=1).close()

    store = open_store(shard_folder(run_folder, 1))
    assert SETTINGS["size_limit"] == store.reset("size_limit")
    store.close()


def test_the_bytes_received_come_back_as_received(run_folder: Path) -> None:
    """Also when they are not UTF-8, and 5 MB long."""
    body = bytes(range(256)) * 20_000
    shard = Shard(run_folder, 1)
    attempt = begun(7)
    shard.begin(attempt)
    shard.settle(attempt, answered(attempt), body)
    shard.close()

    found = ShardReader(run_folder, 1, live=False).attempt(7, 1)

    assert found is not None
    assert (answered(attempt), body) == found
    assert "a/0000000007/000001" == attempt_key(7, 1)
