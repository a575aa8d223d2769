"""What a disk that fails half-way, or a kill, leaves behind is told and cleared up."""

import errno
import os
import sqlite3
from pathlib import Path
from typing import NoReturn

import pytest

from runner.checkpoint import store
from runner.checkpoint.committer import Committer
from runner.checkpoint.rescue import RESCUE
from runner.checkpoint.shard import Shard, create_shard, shard_folder
from runner.durable import blaming_the_disk, sync_folder
from runner.errors import StateError, StoreError


def broken(*_: object, **__: object) -> NoReturn:
    """What a failing disk does."""
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_shard_that_is_half_made_does_not_keep_a_run_from_going_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It appears complete, or not at all."""
    with monkeypatch.context() as patch:
        patch.setattr(Committer, "write", broken)
        with pytest.raises(OSError, match="Input/output"):
            create_shard(tmp_path, "run-a", 1)
    assert not shard_folder(tmp_path, 1).exists()

    create_shard(tmp_path, "run-a", 1)

    assert [shard_folder(tmp_path, 1)] == list(tmp_path.iterdir())


def test_a_shard_is_on_disk_before_a_manifest_can_list_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what SQLite made and removed in it, in whatever order a disk keeps that."""
    synced: list[str] = []

    def watched(folder: Path) -> None:
        synced.append(folder.name)
        sync_folder(folder)

    monkeypatch.setattr("runner.checkpoint.shard.sync_folder", watched)

    create_shard(tmp_path, "run-a", 1)

    assert [".shard-01.tmp", tmp_path.name] == synced


def test_a_disk_that_fails_while_a_shard_is_opened_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for a committer that has ended, either."""
    create_shard(tmp_path, "run-a", 1)

    def failing(*_: object, **__: object) -> NoReturn:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(store, "_read_back", failing)

    with pytest.raises(StoreError, match="disk I/O error"):
        Shard(tmp_path, 1)


def test_a_rescue_file_that_cannot_be_removed_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing again does not close somebody else's file."""
    create_shard(tmp_path, "run-a", 1)
    shard = Shard(tmp_path, 1, rescue_bytes=4096)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", broken)
        with pytest.raises(OSError, match="Input/output"):
            shard.close()

    shard.close()

    assert (shard_folder(tmp_path, 1) / RESCUE).exists()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_full_or_failing_disk_is_no_bug_of_ours(tmp_path: Path, code: int) -> None:
    """It is told as what it is, with what to do."""
    with pytest.raises(StoreError, match=os.strerror(code)), blaming_the_disk(tmp_path):
        raise OSError(code, os.strerror(code), str(tmp_path / "manifest.json"))


def test_a_disk_that_is_only_read_is_neither_full_nor_broken(tmp_path: Path) -> None:
    """There is nothing to make room on."""
    path = tmp_path / "run.lock"
    with pytest.raises(StateError) as told, blaming_the_disk(tmp_path):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
    assert f"{path} cannot be written: Read-only file system" == told.value.message
    assert "mount its disk for writing" in (told.value.hint or "")


def test_a_missing_file_is_not_blamed_on_the_disk(tmp_path: Path) -> None:
    """Somebody has to look for the reason."""
    with pytest.raises(FileNotFoundError), blaming_the_disk(tmp_path):
        (tmp_path / "missing").read_bytes()
