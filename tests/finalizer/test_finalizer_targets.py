"""Targets that must not be written are refused before anything is spent."""

import os
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from finalizer_cases import Night, numbered

from runner.config import Output, default_output
from runner.errors import OutputError
from runner.finalizer import check_targets
from runner.records import JsonObject

NightOver = Callable[..., Night]


@pytest.fixture
def items(tmp_path: Path) -> Path:
    """An items file."""
    path = tmp_path / "items.jsonl"
    path.write_bytes(numbered(1))
    return path


def refusal(
    output: Output, items: Path, written: dict[str, JsonObject] | None = None
) -> str:
    """What the person at the terminal reads."""
    with pytest.raises(OutputError) as caught:
        check_targets(output, inputs=(items,), written=written or {})
    assert caught.value.hint
    return str(caught.value)


def out(items: Path, processed: Path) -> Output:
    """The default files, but for the processed one."""
    return replace(default_output(items), processed_path=processed)


def test_new_files_in_a_good_folder_are_fine_and_nothing_is_left_there(
    items: Path,
) -> None:
    check_targets(default_output(items), inputs=(items,), written={})
    assert list(items.parent.iterdir()) == [items]


def test_the_items_file_is_never_a_target(items: Path, tmp_path: Path) -> None:
    """By its name, another spelling of it, a symbolic or a hard link; no override."""
    soft, hard, same = tmp_path / "soft", tmp_path / "hard", tmp_path / "same"
    soft.symlink_to(items)
    os.link(items, hard)
    same.symlink_to(tmp_path, target_is_directory=True)
    for target in (items, soft, hard, same / "items.jsonl", tmp_path / "./items.jsonl"):
        output = replace(out(items, target), overwrite=True)
        assert "is read by this run" in refusal(output, items)


def test_no_file_of_a_run_is_a_target(items: Path, tmp_path: Path) -> None:
    """Overwriting a manifest would put all answers out of reach."""
    run = tmp_path / "run"
    run.mkdir()
    (run / "manifest.json").touch()
    (run / "shard-01").mkdir()
    for name in ("manifest.json", "anything.jsonl", "shard-01/cache.db"):
        output = replace(out(items, run / name), overwrite=True)
        assert "is inside the state of a run" in refusal(output, items)


@pytest.mark.parametrize("name", ["failed_path", "summary_path"])
def test_no_two_targets_are_the_same(items: Path, tmp_path: Path, name: str) -> None:
    twin = tmp_path / "." / "x" / ".." / "items_processed.jsonl"
    (tmp_path / "x").mkdir()
    changes: JsonObject = {name: twin}
    output = replace(default_output(items), **changes)
    assert "two of the three output files" in refusal(output, items)


def test_hard_links_of_one_file_are_the_same_target(
    items: Path, tmp_path: Path
) -> None:
    output = replace(default_output(items), overwrite=True)
    output.processed_path.write_bytes(b"")
    os.link(output.processed_path, output.failed_path)
    assert "two of the three output files" in refusal(output, items)


def test_directories_devices_pipes_sockets_and_links_are_refused(
    items: Path, tmp_path: Path
) -> None:
    """Also with --overwrite: a rename would put a file in their place."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        for target, what in {
            tmp_path / "pipe": "is a pipe",
            tmp_path / "folder": "is a directory",
            tmp_path / "dangling": "is a symbolic link",
            tmp_path / "loop": "symbolic link",
            tmp_path / "socket": "is a socket",
            Path("/dev/null"): "is a device",
            Path("/dev/stdout"): "is a symbolic link",
        }.items():
            output = replace(out(items, target), overwrite=True)
            assert what in refusal(output, items)


def test_a_missing_folder_is_named_with_the_command_that_makes_it(
    items: Path, tmp_path: Path
) -> None:
    output = out(items, tmp_path / "no" / "such" / "out.jsonl")
    assert f"mkdir -p {tmp_path}/no/such" in refusal(output, items)


def test_a_folder_that_is_a_file_is_refused(items: Path) -> None:
    assert "out.jsonl" in refusal(out(items, items / "out.jsonl"), items)


def test_a_folder_that_cannot_be_written_is_found_out_by_trying(
    items: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Permissions alone do not tell: root, read-only mounts, immutable folders."""
    closed = tmp_path / "closed"
    closed.mkdir()
    real = os.open

    def read_only(path: Path, *rest: int) -> int:
        if Path(path).parent == closed:
            raise OSError(30, "Read-only file system")
        return real(path, *rest)

    monkeypatch.setattr(os, "open", read_only)
    found = refusal(out(items, closed / "out.jsonl"), items)
    assert "cannot be written (Read-only file system)" in found


def test_a_name_too_long_for_its_temp_file_is_refused(
    items: Path, tmp_path: Path
) -> None:
    """250 of 255 bytes: the file would fit, what is renamed to it would not."""
    found = refusal(out(items, tmp_path / ("x" * 250)), items)
    assert "File name too long" in found


def test_a_file_of_somebody_else_is_not_overwritten(items: Path) -> None:
    output = default_output(items)
    output.summary_path.write_bytes(b"mine")
    found = refusal(output, items)
    assert "items_summary.json exists" in found
    assert "--overwrite" in found
    overwriting = replace(output, overwrite=True)
    check_targets(overwriting, inputs=(items,), written={})
    assert output.summary_path.read_bytes() == b"mine"


def exported(night: Night) -> dict[str, JsonObject]:
    """Write the three files; what was told of them."""
    told: dict[str, JsonObject] = {}

    def note(files: dict[str, JsonObject]) -> bool:
        told.update(files)
        return True

    night.export(on_ready=note)
    return told


def test_our_own_files_are_replaced_as_long_as_nobody_changed_them(
    night_over: NightOver,
) -> None:
    """By size and time, or by content where only the time is another."""
    night = night_over(numbered(1))
    night.record(0)
    written = exported(night)
    output, items = night.config.output, night.items_path
    check_targets(output, inputs=(items,), written=written)
    os.utime(output.processed_path, ns=(1, 1))
    check_targets(output, inputs=(items,), written=written)
    changed = night.processed.replace(b"true", b"TRUE")
    output.processed_path.write_bytes(changed)
    assert "not as this run wrote it" in refusal(output, items, written)
    output.processed_path.unlink()
    check_targets(output, inputs=(items,), written=written)


def test_our_own_files_are_known_by_any_spelling_of_their_folder(
    night_over: NightOver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = night_over(numbered(1))
    written = exported(night)
    monkeypatch.chdir(tmp_path)
    relative = default_output(Path("items.jsonl"))
    check_targets(relative, inputs=(night.items_path,), written=written)
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    linked = default_output(tmp_path / "link" / "items.jsonl")
    check_targets(linked, inputs=(night.items_path,), written=written)
