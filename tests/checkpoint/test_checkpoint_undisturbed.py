"""A run that nobody works on is read without locks, for as long as nobody does."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from checkpoint_builders import outcome

from runner.checkpoint.locks import RunLock
from runner.checkpoint.manifest import Manifest
from runner.checkpoint.shard import Shard, create_shard
from runner.checkpoint.undisturbed import Look, undisturbed
from runner.config import Output, RunConfig, TaskSpec
from runner.errors import StateDamaged

MANY = 1_000
BEFORE, AFTER = range(0, MANY, 2), range(1, MANY, 2)
"""Numbers of items: those that come later stand between those that are there."""


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A run whose shard 1 holds some outcomes; nobody works on it."""
    items = tmp_path / "items.jsonl"
    output = Output(processed_path=items, failed_path=items, summary_path=items)
    Manifest(
        run="night",
        run_id="run-a",
        created_unix_s=1.0,
        config=RunConfig(items_path=items, task=TaskSpec(), output=output),
        identity={},
        items=MANY,
        items_sha256="",
        items_bytes=0,
        next_number=MANY,
        shards=(1,),
    ).save(tmp_path)
    create_shard(tmp_path, "run-a", 1)
    write(tmp_path, BEFORE)
    return tmp_path


def write(run_folder: Path, numbers: Iterable[int]) -> None:
    """Somebody comes, records outcomes of these items, and goes."""
    shard = Shard(run_folder, 1)
    for number in numbers:
        shard.record(outcome(number), b"{}", None, lambda _: None)
    shard.close()


class Reading:
    """Reads which items have an outcome, as often as it is asked to."""

    def __init__(
        self, run_folder: Path, meanwhile: Callable[[int], None] = lambda _: None
    ) -> None:
        """`meanwhile` is called once the shards are open, with how often they were."""
        self._folder = run_folder
        self._meanwhile = meanwhile
        self.looks: list[Look] = []

    def __call__(self, look: Look) -> list[int]:
        """The items, in one look."""
        self.looks.append(look)
        reader = look.open_reader(Manifest.load(self._folder))
        self._meanwhile(len(self.looks))
        return [found.number for found, _ in reader.outcomes()]


def test_pages_that_are_written_while_others_are_read_are_no_damage(
    run_folder: Path,
) -> None:
    """Half of before, half of after: SQLite calls that malformed, or says nothing."""

    def somebody(look: int) -> None:
        if look == 1:
            write(run_folder, AFTER)

    reading = Reading(run_folder, somebody)
    assert undisturbed(run_folder, reading) == list(range(MANY))
    assert len(reading.looks) == 2


def test_a_run_that_is_left_alone_is_read_once_and_nothing_is_written(
    run_folder: Path,
) -> None:
    """On a full disk, on one that is only read, and in a copy no file may appear."""
    before = {path: path.stat().st_mtime_ns for path in run_folder.rglob("*")}
    reading = Reading(run_folder)

    assert undisturbed(run_folder, reading) == list(BEFORE)
    assert len(reading.looks) == 1
    assert {p: p.stat().st_mtime_ns for p in run_folder.rglob("*")} == before


def test_what_a_writer_adds_to_his_log_disturbs_nobody(run_folder: Path) -> None:
    """The -wal file was there: pages are read with SQLite's own locks."""
    shard = Shard(run_folder, 1)
    new = outcome(MANY - 1)
    reading = Reading(run_folder, lambda _: shard.record_now(new, b"{}", None))

    assert undisturbed(run_folder, reading) == [*BEFORE, MANY - 1]
    assert len(reading.looks) == 1
    shard.close()


@pytest.mark.parametrize("comes_by", [False, True])
def test_damage_is_told_whether_or_not_somebody_comes_by(
    run_folder: Path, *, comes_by: bool
) -> None:
    """At once, or after a second look."""
    looks: list[Look] = []

    def read(look: Look) -> None:
        looks.append(look)
        if comes_by and len(looks) == 1:
            RunLock(run_folder, 1.0).release()
        raise StateDamaged("a shard is missing")

    with pytest.raises(StateDamaged, match="a shard is missing"):
        undisturbed(run_folder, read)
    assert len(looks) == 1 + comes_by


def test_a_run_that_is_never_left_alone_is_read_as_one_at_work(
    run_folder: Path,
) -> None:
    """But it is not said to be worked on: just then it is not."""
    reading = Reading(run_folder, lambda look: write(run_folder, [AFTER[look]]))

    assert len(undisturbed(run_folder, reading)) == len(BEFORE) + 3
    assert [look.is_live for look in reading.looks] == [False, False, True]
    assert not any(look.is_worked_on for look in reading.looks)
