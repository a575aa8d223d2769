"""One runner a run: two never both send, and nobody reads while others record."""

import contextlib
import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runner.checkpoint import locks
from runner.checkpoint.locks import Owner, Presence, RunLock, is_worked_on
from runner.errors import OutputError, RunLocked


def test_a_second_runner_of_a_run_is_refused(tmp_path: Path) -> None:
    """By name of the process that has it; the first keeps its right."""
    first = RunLock(tmp_path, 1.0)

    for _ in range(2):
        with pytest.raises(RunLocked, match=f"process {os.getpid()} "):
            RunLock(tmp_path, 2.0)

    first.release()
    RunLock(tmp_path, 3.0).release()


def test_a_disk_without_room_for_the_owner_does_not_keep_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same process tries again once there is room."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(os, "pwrite", full)
        with pytest.raises(OSError, match="No space left"):
            RunLock(tmp_path, 1.0)
    RunLock(tmp_path, 2.0).release()


def test_looking_at_a_lock_file_does_not_give_the_lock_away(tmp_path: Path) -> None:
    """POSIX record locks go when any descriptor of the file is closed (fcntl(2))."""
    first = RunLock(tmp_path, 1.0)
    (tmp_path / "run.lock").read_bytes()

    with pytest.raises(RunLocked):
        RunLock(tmp_path, 2.0)
    first.release()


def test_nobody_starts_while_a_dead_sessions_worker_still_records(
    tmp_path: Path,
) -> None:
    """What it records would be missed, and asked again."""
    orphan, another = Presence(tmp_path), Presence(tmp_path)
    successor = RunLock(tmp_path, 1.0)

    orphan.release()
    with pytest.raises(RunLocked, match="still recording"):
        successor.wait_for_orphans(tmp_path)

    another.release()
    successor.wait_for_orphans(tmp_path)
    successor.release()


def test_a_session_in_another_container_lives_although_its_number_says_nothing_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status, export and salvage ask this; `runner stop` says that it cannot."""
    held = RunLock(tmp_path, 1.0)
    monkeypatch.setattr(Owner, "is_alive", lambda _: False)

    assert is_worked_on(tmp_path)
    with pytest.raises(RunLocked, match="no signal reaches"):
        locks.refuse_out_of_reach(tmp_path)

    held.release()
    assert not is_worked_on(tmp_path)
    locks.refuse_out_of_reach(tmp_path)


def test_a_start_is_not_refused_because_somebody_looks_whether_the_run_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look takes the lock for a moment."""
    RunLock(tmp_path, 1.0).release()
    looking = os.open(tmp_path / "run.lock", os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    monkeypatch.setattr(time, "sleep", lambda _: os.close(looking))

    RunLock(tmp_path, 2.0).release()


def test_exports_take_turns_and_only_as_long_as_one_lives(tmp_path: Path) -> None:
    """One that is killed in its turn, or forks a child, is in nobody's way."""
    child = os.fork()
    if not child:
        with locks.export_turn(tmp_path):
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])

    reading, writing = os.pipe()
    with locks.export_turn(tmp_path):
        child = os.fork()
        if not child:
            os.close(writing)
            os.read(reading, 1)
            os._exit(0)
    with locks.export_turn(tmp_path):
        assert list(tmp_path.iterdir()) == []
    os.close(writing)
    os.waitpid(child, 0)
    os.close(reading)


def test_an_export_waits_until_another_ones_turn_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A turn is short."""
    turn = contextlib.ExitStack()
    turn.enter_context(locks.export_turn(tmp_path))
    monkeypatch.setattr(time, "sleep", lambda _: turn.close())

    with locks.export_turn(tmp_path), monkeypatch.context() as patience:
        patience.setattr(locks, "_TURN_S", 0.0)
        with pytest.raises(OutputError, match="is replacing files"):
            turn.enter_context(locks.export_turn(tmp_path))


def test_files_are_written_where_a_file_system_knows_no_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No session can work on a copy of a run there, but it can be exported."""

    def unknown(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", unknown)
    with locks.export_turn(tmp_path):
        pass


HOLDER = """
import os, pathlib, time
from runner.checkpoint import locks
from runner.checkpoint.locks import Owner, Presence, RunLock, is_worked_on
folder = pathlib.Path({folder!r})
held = RunLock(folder, 1.0), Presence(folder)
Presence(folder).release()
if not os.fork():
    print(os.getpid(), flush=True)
    time.sleep(120)
os.wait()
"""


def test_a_child_that_outlives_the_holder_holds_nothing(tmp_path: Path) -> None:
    """One that the user's code forked: it has nothing to do with the run."""
    script = HOLDER.format(folder=str(tmp_path))
    holder = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout
        child = int(holder.stdout.readline())
        with pytest.raises(RunLocked):
            RunLock(tmp_path, 2.0)
        holder.kill()
        holder.wait()
        try:
            successor = RunLock(tmp_path, 2.0)
            successor.wait_for_orphans(tmp_path)
            successor.release()
        finally:
            os.kill(child, signal.SIGKILL)
