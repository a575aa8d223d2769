"""Files that appear whole, and for whom."""

import os
import secrets
import stat
from pathlib import Path

import pytest

from runner.durable import open_private, remove_leftovers, replacing


def test_a_link_planted_in_a_shared_folder_is_not_written_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even by somebody who guessed the name of the temp file."""
    monkeypatch.setattr(secrets, "token_hex", lambda _: "guessed")
    precious = tmp_path / "precious"
    precious.write_text("mine")
    planted = tmp_path / f".out.{os.getpid()}-guessed.tmp"
    planted.symlink_to(precious)

    with pytest.raises(FileExistsError), replacing(tmp_path / "out") as stream:
        stream.write(b"answers")

    assert precious.read_text() == "mine"
    assert planted.is_symlink()


def test_a_file_is_on_disk_before_it_takes_its_name_and_the_name_before_we_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a power cut leaves an empty file under the name of a full one."""
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        size = os.fstat(descriptor).st_size
        done.append("folder" if is_folder else f"file of {size}")
        fsync(descriptor)

    def replaced(path: Path, target: Path) -> Path:
        done.append("rename")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    with replacing(tmp_path / "out") as stream:
        stream.write(b"answers")

    assert done == ["file of 7", "rename", "folder"]


def test_the_temp_file_of_a_process_is_another_each_time(tmp_path: Path) -> None:
    """Nobody can lie in wait for it, and two threads do not meet."""
    names = []
    for _ in range(2):
        with replacing(tmp_path / "out"):
            names += [path.name for path in tmp_path.glob(".out.*.tmp")]

    assert len(set(names)) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_leftovers_of_a_killed_process_are_found_by_its_number(tmp_path: Path) -> None:
    """Whatever follows it in the name."""
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    dead = tmp_path / f".out.{child}-0123456789abcdef.tmp"
    ours = tmp_path / f".out.{os.getpid()}-0123456789abcdef.tmp"
    dead.touch()
    ours.touch()

    remove_leftovers(tmp_path / "out")

    assert (dead.exists(), ours.exists()) == (False, True)


@pytest.mark.parametrize("umask", [0, 0o022, 0o377])
def test_a_private_file_is_for_its_owner_whatever_the_umask(
    tmp_path: Path, umask: int
) -> None:
    """A umask takes rights away; it must not take ours."""
    before = os.umask(umask)
    try:
        os.close(open_private(tmp_path / "private"))
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o600
