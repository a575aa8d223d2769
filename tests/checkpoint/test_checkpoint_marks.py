"""State that is older than it was, or means something else, is refused."""

import shutil
from pathlib import Path

import pytest
from checkpoint_builders import outcome

from runner.checkpoint.entries import IDENTITY_KEY
from runner.checkpoint.manifest import Manifest
from runner.checkpoint.reading import RunReader, ShardReader
from runner.checkpoint.shard import Shard, create_shard, shard_folder
from runner.config import Output, RunConfig, TaskSpec
from runner.errors import StateDamaged, StateError, StateTooNew
from runner.records import Totals


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A run folder with an empty shard 1."""
    create_shard(tmp_path, "run-a", 1)
    return tmp_path


@pytest.fixture
def manifest(run_folder: Path) -> Manifest:
    """A manifest without marks."""
    items = run_folder / "items.jsonl"
    output = Output(processed_path=items, failed_path=items, summary_path=items)
    config = RunConfig(items_path=items, task=TaskSpec(), output=output)
    return Manifest(
        run="night",
        run_id="run-a",
        created_unix_s=1.0,
        config=config,
        identity={},
        items=1,
        items_sha256="",
        items_bytes=0,
        next_number=1,
    )


def test_a_shard_that_cannot_be_created_is_not_listed(
    run_folder: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the two, a listed shard that is not there is a damaged run."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    manifest.save(run_folder)
    monkeypatch.setattr("runner.checkpoint.manifest.create_shard", killed)
    with pytest.raises(KeyboardInterrupt):
        manifest.with_shard(run_folder, 2)

    assert Manifest.load(run_folder).shards == ()


def totals_by_slot(run_folder: Path, slot: int) -> dict[int, Totals]:
    """The totals of that shard, as the next session finds them."""
    reader = ShardReader(run_folder, slot, live=True)
    try:
        return {slot: reader.totals()}
    finally:
        reader.close()


@pytest.mark.parametrize("slot", [0, 1])
def test_a_lost_wal_is_noticed_whatever_stood_in_it(
    run_folder: Path, slot: int, manifest: Manifest
) -> None:
    """Shard 0 holds no attempts, but sessions and rejudged outcomes."""
    if slot == 0:
        create_shard(run_folder, "run-a", 0)
    shard = Shard(run_folder, slot)
    shard.record_now(outcome(0), b"{}", None)
    shard.note("s/000001", {"session": 1})
    kept = run_folder / "kept"
    shutil.copytree(shard_folder(run_folder, slot), kept)
    marked = manifest.with_marks({slot: shard.totals()})
    shard.close()

    # What a copy without the -wal brings back: the database as it was before.
    shutil.rmtree(shard_folder(run_folder, slot))
    kept.rename(shard_folder(run_folder, slot))
    marked.check_marks(totals_by_slot(run_folder, slot))
    (shard_folder(run_folder, slot) / "cache.db-wal").unlink()

    with pytest.raises(StateDamaged, match="shows only"):
        marked.check_marks(totals_by_slot(run_folder, slot))


@pytest.mark.parametrize(
    ("version", "error"), [(1, StateDamaged), (None, StateDamaged), (99, StateTooNew)]
)
def test_records_that_mean_something_else_are_not_read(
    run_folder: Path, version: int | None, error: type[StateError]
) -> None:
    """Sums over them would be wrong, and nobody would see it."""
    shard = Shard(run_folder, 1)
    shard.note(IDENTITY_KEY, {"v": version, "run_id": "run-a", "slot": 1})
    shard.close()

    with pytest.raises(error):
        RunReader(run_folder, "run-a", [1], live=False)
