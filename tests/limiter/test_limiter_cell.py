"""The shared file survives what processes and disks do to it."""

import os
import stat
import threading
from decimal import Decimal
from pathlib import Path

import pytest
from limiter_fakes import FakeClock, due_s, failure, granted, limiter_in, place_in, want

from runner.errors import StateDamaged, UsageError
from runner.limiter import (
    RunCeilings,
    begin_session,
    key_cell_path,
    rebuild_slot,
)
from runner.limiter import cell as cells
from runner.limiter.cell import Cell
from runner.limiter.keystate import KeyState
from runner.records import FailureKind

FIRST_AT = 4096


def put(cell: Cell, payload: bytes) -> None:
    assert cell.try_lock()
    cell.load()
    cell.store(payload)
    cell.unlock()


def found(path: Path) -> bytes | None:
    """What a process opening the cell anew reads."""
    cell = Cell(path, 1000)
    assert cell.try_lock()
    payload = cell.load().payload
    cell.unlock()
    cell.close()
    return payload


def spoil(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 0xFF]))


def test_a_new_cell_is_empty_and_private(tmp_path: Path) -> None:
    path = tmp_path / "runner" / "limits" / "a.cell"
    assert found(path) == b""
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o700


def test_a_copy_torn_at_any_byte_leaves_the_one_before(tmp_path: Path) -> None:
    """As if the writer had been killed there."""
    path = tmp_path / "a.cell"
    size = cells._COPY.size + 4
    for torn_at in range(size):
        path.unlink(missing_ok=True)
        cell = Cell(path, 1000)
        put(cell, b"old!")
        before = path.read_bytes()
        put(cell, b"new!")
        after = path.read_bytes()
        cell.close()
        (start,) = (
            at
            for at in (FIRST_AT, FIRST_AT + 1032)
            if before[at:] != after[at:]
            and before[at : at + size] != after[at : at + size]
        )
        end = start + torn_at
        path.write_bytes(after[:end] + before[end:])
        expected = b"new!" if after[:end] + before[end:] == after else b"old!"
        assert expected == found(path)


def test_two_torn_copies_are_unreadable_not_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.cell"
    cell = Cell(path, 1000)
    put(cell, b"old!")
    put(cell, b"new!")
    cell.close()
    spoil(path, FIRST_AT + cells._COPY.size)
    spoil(path, FIRST_AT + 1032 + cells._COPY.size)
    assert found(path) is None


def test_a_foreign_or_truncated_file_is_unreadable_not_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.cell"
    for content in (b"x", b"something else entirely\n" * 400, bytes(100_000)):
        path.write_bytes(content)
        assert found(path) is None


def test_both_copies_lost_mean_one_window_of_silence(tmp_path: Path) -> None:
    """A whole minute's worth may have been sent a moment ago."""
    clock, ceilings = FakeClock(), RunCeilings(rpm=60)
    before = limiter_in(tmp_path, clock, ceilings=ceilings)
    before.answered(granted(before), {}, None, None)
    before.close()
    path = place_in(tmp_path).run_cell
    path.write_bytes(b"\xff" * path.stat().st_size)
    began_s = clock.now_s
    after = limiter_in(tmp_path, clock, ceilings=ceilings)
    assert due_s(granted(after)) - began_s == pytest.approx(60.25, abs=0.1)


def test_a_key_cell_of_a_version_that_kept_less_is_made_anew(tmp_path: Path) -> None:
    """Misread, it would end every run on its key."""
    clock, path = FakeClock(), place_in(tmp_path).key_cell
    older = Cell(path, 2 * 1_088 + 512)  # it had room to spare
    put(older, KeyState().to_bytes()[:-8])
    older.close()
    limiter = limiter_in(tmp_path, clock)
    limiter.answered(granted(limiter), {}, None, None)
    assert limiter.pace().waiting_for is None


def test_after_a_reboot_limits_are_known_and_moments_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock(start_s=50_000.0)
    said = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "1s",
    }
    before = limiter_in(tmp_path, clock)
    before.answered(granted(before), said, None, None)
    before.close()
    monkeypatch.setattr(cells, "boot_id", lambda: "another boot")
    rebooted = FakeClock(start_s=20.0)
    after = limiter_in(tmp_path, rebooted)
    assert after.pace().rpm_limit == 60
    permit = granted(after)
    # The clock began at zero with the boot: by 60.25 s all before it is out of reach.
    assert due_s(permit) == pytest.approx(60.25, abs=0.1)


def test_a_lost_run_cell_never_means_that_nothing_was_spent(tmp_path: Path) -> None:
    clock = FakeClock()
    ceilings = RunCeilings(max_cost_usd=Decimal(10))
    limiter = limiter_in(tmp_path, clock, ceilings=ceilings)
    with pytest.raises(StateDamaged, match="does not know what has been spent"):
        limiter.reserve(want(usd="1"), threading.Event())
    begin_session(place_in(tmp_path), ceilings, {}, clock)
    limiter.answered(granted(limiter, want(usd="1")), {}, None, None)
    place_in(tmp_path).run_cell.unlink()
    clock.now_s += 2
    with pytest.raises(StateDamaged, match="deleted or cut short"):
        limiter.reserve(want(usd="1"), threading.Event())


def test_a_deleted_key_cell_is_made_anew_without_a_burst(tmp_path: Path) -> None:
    clock = FakeClock()
    limiter = limiter_in(tmp_path, clock)
    limiter.answered(granted(limiter), {}, None, None)
    path = place_in(tmp_path).key_cell
    path.unlink()
    clock.now_s += 2
    permit = granted(limiter)
    assert path.exists()
    said = {
        "x-ratelimit-limit-requests": "600",
        "x-ratelimit-remaining-requests": "599",
        "x-ratelimit-reset-requests": "100ms",
    }
    limiter.answered(permit, said, None, None)
    assert due_s(granted(limiter)) >= due_s(permit) + 60


def test_a_truncated_run_cell_does_not_kill_the_process(tmp_path: Path) -> None:
    """Reading a mapped page beyond the end of its file would."""
    clock = FakeClock()
    limiter = limiter_in(tmp_path, clock)
    granted(limiter)
    os.truncate(place_in(tmp_path).run_cell, 0)
    clock.now_s += 2
    with pytest.raises(StateDamaged):
        limiter.reserve(want(), threading.Event())


def test_a_folder_that_cannot_be_made_is_said_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "limits").write_text("a file, not a folder")
    with pytest.raises(UsageError, match="XDG_STATE_HOME"):
        limiter_in(tmp_path, FakeClock())


def test_a_link_in_place_of_a_cell_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"precious")
    (tmp_path / "run.cell").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError):
        limiter_in(tmp_path, FakeClock())
    assert (tmp_path / "elsewhere").read_bytes() == b"precious"


def test_reading_never_waits_for_a_holder(tmp_path: Path) -> None:
    clock = FakeClock()
    limiter = limiter_in(tmp_path, clock, ceilings=RunCeilings(rpm=5))
    granted(limiter)
    holder = Cell(place_in(tmp_path).run_cell, 1000)
    holder._size = place_in(tmp_path).run_cell.stat().st_size
    assert holder.try_lock()
    assert limiter.pace().rpm_limit == 5
    assert limiter.token_ratio() == 1.0


def test_an_answer_comes_home_although_a_cell_is_held_and_is_settled_later(
    tmp_path: Path,
) -> None:
    clock, ceilings = FakeClock(), RunCeilings(max_cost_usd=Decimal(10))
    begin_session(place_in(tmp_path), ceilings, {}, clock)
    limiter = limiter_in(tmp_path, clock, ceilings=ceilings)
    permit = granted(limiter, want(usd="9"))
    holder = Cell(place_in(tmp_path).run_cell, 1000)
    holder._size = place_in(tmp_path).run_cell.stat().st_size
    assert holder.try_lock()
    limiter.answered(permit, {}, None, Decimal(1))
    told = limiter.blocked_by()
    assert told is not None
    assert f"process {os.getpid()}, which holds {place_in(tmp_path).run_cell}" in told
    holder.unlock()
    granted(limiter, want(usd="9"))
    assert limiter.blocked_by() is None


def test_the_name_of_a_cell_tells_nothing_and_separates_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    url, key = "https://api.example.test/v1", "sk-secret"
    paths = {
        key_cell_path(url, key, None, None, "m"),
        key_cell_path(url, "sk-other", None, None, "m"),
        key_cell_path(url, key, "org", None, "m"),
        key_cell_path(url, key, None, "org", "m"),
        key_cell_path(url, key, None, None, "n"),
        key_cell_path("https://api.example.test/v2", key, None, None, "m"),
    }
    assert len(paths) == 6
    assert key_cell_path(url + "/", key, None, None, "m") in paths
    assert all(path.parent == tmp_path / "runner" / "limits" for path in paths)
    assert not any("secret" in str(path) for path in paths)
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    home = Path.home() / ".local" / "state" / "runner" / "limits"
    assert key_cell_path(url, key, None, None, "m").parent == home


def test_a_new_session_keeps_the_pace_and_forgets_the_outage(tmp_path: Path) -> None:
    """And asks one question first again: the key may have been changed."""
    clock, ceilings = FakeClock(), RunCeilings(rpm=5)
    before = limiter_in(tmp_path, clock, ceilings=ceilings)
    before.answered(granted(before), {}, None, None)
    permits = [granted(before) for _ in range(3)]
    for permit in permits:
        before.failed(permit, failure(FailureKind.SERVER), {}, Decimal(0))
    begin_session(place_in(tmp_path), ceilings, {}, clock)
    after = limiter_in(tmp_path, clock, ceilings=ceilings)
    permit = granted(after)
    assert due_s(permit) >= due_s(permits[-1]) + 12
    assert not permit.is_probe
    assert after.pace().waiting_for == "the first answer"


def test_a_dead_worker_frees_its_line(tmp_path: Path) -> None:
    clock, ceilings = FakeClock(), RunCeilings(max_cost_usd=Decimal(1))
    begin_session(place_in(tmp_path), ceilings, {}, clock)
    dead = limiter_in(tmp_path, clock, slot=1, ceilings=ceilings)
    granted(dead, want(usd="0.9"))
    rebuild_slot(place_in(tmp_path), 1, Decimal("0.1"), clock)
    alive = limiter_in(tmp_path, clock, slot=2, ceilings=ceilings)
    granted(alive, want(usd="0.9"))


def test_a_closed_cell_is_nobodys_and_leaves_the_next_files_alone(
    tmp_path: Path,
) -> None:
    """Its number goes to whatever is opened next: a database, say."""
    cell = Cell(tmp_path / "a.cell", 1000)
    put(cell, b"one")
    cell.close()
    descriptor = os.open(tmp_path / "precious", os.O_RDWR | os.O_CREAT)
    os.write(descriptor, b"precious")
    assert not cell.try_lock()
    assert (b"", None, b"") == (cell.peek().payload, cell.holder_pid(), cell.edition())
    assert b"precious" == os.pread(descriptor, 9_000, 0)
    os.close(descriptor)


def test_a_failure_told_after_the_end_touches_nothing(tmp_path: Path) -> None:
    """From a call that took long to give up; the program may go on with other files."""
    clock = FakeClock()
    begin_session(place_in(tmp_path), RunCeilings(), {}, clock)
    limiter = limiter_in(tmp_path, clock)
    permit = granted(limiter)
    limiter.close()
    names = [tmp_path / name for name in ("one", "two")]
    files = [os.open(name, os.O_RDWR | os.O_CREAT) for name in names]
    for each in files:
        os.write(each, b"precious")
    cut = failure(FailureKind.CUT)
    assert limiter.failed(permit, cut, {}, Decimal(0)) in (True, False)
    assert [b"precious", b"precious"] == [name.read_bytes() for name in names]
    for each in files:
        os.close(each)
