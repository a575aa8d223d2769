"""A reply that came in while its database failed is kept, and taken in later."""

import contextlib
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkpoint_builders import answered, begun
from failing_store import BROKEN, FULL, fail_with, failing

from runner.checkpoint.entries import Attempt
from runner.checkpoint.intake import take_in_rescued
from runner.checkpoint.reading import RunReader, ShardReader
from runner.checkpoint.rescue import RESCUE, RescueFile
from runner.checkpoint.shard import Shard, create_shard, shard_folder
from runner.errors import StateDamaged, StoreError
from runner.records import Totals

ROOM = 256 * 1024
BODY = b'{"paid": "for"}'


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A run folder with an empty shard 1."""
    create_shard(tmp_path, "run-a", 1)
    return tmp_path


@pytest.fixture
def rescue(run_folder: Path) -> Path:
    """Where shard 1 puts what its database does not take."""
    return shard_folder(run_folder, 1) / RESCUE


def lose_the_database(
    run_folder: Path, patch: pytest.MonkeyPatch, message: str = FULL, items: int = 3
) -> list[Attempt]:
    """Items are in flight when the database fails; their answers come in then."""
    with failing(patch):
        shard = Shard(run_folder, 1, rescue_bytes=ROOM)
    sent = [begun(number) for number in range(items)]
    for attempt in sent:
        shard.begin(attempt)
    fail_with(patch, message)
    for attempt in sent:
        with pytest.raises(StoreError, match=message):
            shard.settle(attempt, answered(attempt), BODY)
    assert shard.totals().answered == items
    shard.close()
    return sent


def totals(run_folder: Path) -> Totals:
    """What a reader says of the run."""
    reader = RunReader(run_folder, "run-a", [1], live=False)
    try:
        return reader.totals()
    finally:
        reader.close()


def take_in(run_folder: Path) -> int:
    """What the next session does first."""
    return take_in_rescued(run_folder, "run-a", (1,))


def attempts(run_folder: Path, items: int = 3) -> list[tuple[Attempt, bytes]]:
    """What a reader finds of the items."""
    reader = ShardReader(run_folder, 1, live=False)
    try:
        return [entry for n in range(items) for entry in reader.attempts(n)]
    finally:
        reader.close()


@pytest.mark.parametrize("message", [FULL, BROKEN])
def test_an_answer_that_the_database_does_not_take_is_there_all_the_same(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch, message: str
) -> None:
    """To every reader at once, and in its shard after the next session began."""
    sent = lose_the_database(run_folder, monkeypatch, message)
    expected = [(answered(attempt), BODY) for attempt in sent]

    waiting = totals(run_folder)
    assert attempts(run_folder) == expected
    assert (waiting.answered, waiting.open) == (3, 0)

    assert take_in(run_folder) == 3
    taken = totals(run_folder)
    assert attempts(run_folder) == expected
    assert (taken.answered, taken.open) == (3, 0)
    assert taken.committed_usd == waiting.committed_usd
    assert not (shard_folder(run_folder, 1) / RESCUE).exists()


def test_what_was_taken_in_once_is_not_counted_twice(
    run_folder: Path, rescue: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the shard had it and before the rescue file was removed."""
    lose_the_database(run_folder, monkeypatch)
    copy = rescue.with_suffix(".copy")
    shutil.copy(rescue, copy)
    take_in(run_folder)
    once = totals(run_folder)
    copy.rename(rescue)

    assert totals(run_folder) == once
    assert take_in(run_folder) == 0
    assert totals(run_folder) == once
    assert not rescue.exists()


def test_a_session_that_begins_on_a_full_disk_leaves_the_rescued_where_they_are(
    run_folder: Path, rescue: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is removed that is not in its shard."""
    lose_the_database(run_folder, monkeypatch)
    with failing(monkeypatch), pytest.raises(StoreError, match=FULL):
        take_in(run_folder)

    assert rescue.exists()
    assert take_in(run_folder) == 3


@pytest.mark.parametrize("at", [0, 6, 20, 60, 300])
def test_a_damaged_rescue_file_is_refused_not_dropped(
    run_folder: Path, rescue: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """Its answers were paid for: whoever gives them up has to say so."""
    lose_the_database(run_folder, monkeypatch)
    content = bytearray(rescue.read_bytes())
    content[at] ^= 1
    rescue.write_bytes(content)

    with pytest.raises(StateDamaged, match="move it away"):
        take_in(run_folder)
    with pytest.raises(StateDamaged, match="paid for"):
        totals(run_folder)
    assert rescue.exists()

    rescue.unlink()
    assert take_in(run_folder) == 0
    assert totals(run_folder).open == 3


def test_answers_to_questions_of_another_run_are_refused(
    run_folder: Path, rescue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when folders are mixed up by hand."""
    lose_the_database(run_folder, monkeypatch)
    other = tmp_path / "other"
    other.mkdir()
    create_shard(other, "run-a", 1)
    shutil.copy(rescue, shard_folder(other, 1) / RESCUE)

    with pytest.raises(StateDamaged, match="does not know"):
        take_in(other)


def test_a_record_cut_off_by_a_crash_is_no_damage(
    run_folder: Path, rescue: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was never told as kept; what stands before it is."""
    lose_the_database(run_folder, monkeypatch, items=2)
    content = rescue.read_bytes()
    second = content.index(b"RNRQ", 1)
    rescue.write_bytes(content[:second] + bytes(16) + content[second + 16 :])

    found = totals(run_folder)
    assert (found.answered, found.open) == (1, 1)

    # A worker that goes on behind it does not trip over its remains.
    file = RescueFile(rescue.parent, ROOM)
    file.close()
    assert totals(run_folder) == found


def test_a_replaced_worker_adds_to_what_was_rescued_before(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slot's file outlives the process that wrote to it."""
    lose_the_database(run_folder, monkeypatch)
    monkeypatch.undo()
    with failing(monkeypatch):
        shard = Shard(run_folder, 1, rescue_bytes=ROOM)
    late = begun(7)
    shard.begin(late)
    fail_with(monkeypatch, BROKEN)
    with pytest.raises(StoreError):
        shard.settle(late, answered(late), BODY)
    shard.close()

    assert take_in(run_folder) == 4
    assert totals(run_folder).answered == 4


def test_the_room_is_on_the_disk_before_anything_is_sent(
    run_folder: Path, rescue: Path
) -> None:
    """Blocks, not a hole; given back when nothing had to be rescued."""
    shard = Shard(run_folder, 1, rescue_bytes=4 * ROOM)
    assert rescue.stat().st_blocks * 512 >= 4 * ROOM
    shard.close()
    assert not rescue.exists()


@contextlib.contextmanager
def no_file_beyond_64_kib() -> Iterator[None]:
    """No file of this process may grow beyond that."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_without_that_room_nothing_begins(run_folder: Path, rescue: Path) -> None:
    """The store counts as failing, before it has cost anything."""
    with (
        no_file_beyond_64_kib(),
        pytest.raises(StoreError, match="cannot set 262144 bytes"),
    ):
        Shard(run_folder, 1, rescue_bytes=ROOM)
    assert not rescue.exists()


def test_an_answer_that_fits_nowhere_is_told_and_others_still_fit(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays unresolved: counted, and named by the resume."""
    with failing(monkeypatch):
        shard = Shard(run_folder, 1, rescue_bytes=4096)
    large, small = begun(0), begun(1)
    shard.begin(large)
    shard.begin(small)
    fail_with(monkeypatch, FULL)
    with no_file_beyond_64_kib():
        with pytest.raises(StoreError, match="neither its shard nor"):
            shard.settle(large, answered(large), b"x" * 100_000)
        with pytest.raises(StoreError, match=FULL):
            shard.settle(small, answered(small), BODY)
    shard.close()

    assert attempts(run_folder, 2) == [(large, b""), (answered(small), BODY)]
