"""Prompts and answers are for the user who asked, from the first byte on."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkpoint_builders import begun

from runner.checkpoint.shard import Shard, create_shard, shard_folder


@pytest.fixture(params=[0, 0o022, 0o377])
def _umask(request: pytest.FixtureRequest) -> Iterator[None]:
    """Too open, usual, and one that would lock us out ourselves."""
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("_umask")
def test_a_shard_is_for_its_owner_whatever_the_umask(tmp_path: Path) -> None:
    """SQLite would make its files readable for everybody."""
    create_shard(tmp_path, "run-a", 1)
    shard = Shard(tmp_path, 1, rescue_bytes=4096)
    shard.begin(begun(0))
    folder = shard_folder(tmp_path, 1)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    shard.close()

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert modes == dict.fromkeys(
        ["cache.db", "cache.db-wal", "cache.db-shm", "rescue.bin"], 0o600
    )
