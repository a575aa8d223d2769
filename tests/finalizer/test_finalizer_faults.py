"""Whatever happens while files are written: the old file, or the complete new one."""

import errno
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from finalizer_cases import Night, folder_content, numbered, result_of

from runner.errors import ItemFileError, OutputError

NightOver = Callable[..., Night]


class Faults:
    """Counts what is done to files, and lets `fail` happen at the `at`-th time."""

    def __init__(self, at: int, fail: Callable[[str], None]) -> None:
        self.done: list[str] = []
        self._at = at
        self._fail = fail

    def before(self, what: str) -> None:
        """Fail now, or note that it was done."""
        if len(self.done) == self._at:
            self._fail(what)
        self.done.append(what)

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Put the faults between the export and the operating system."""
        for name in ("open", "fsync", "replace", "fchmod"):
            patch.setattr(os, name, self._wrapped(name, getattr(os, name)))
        faults = self

        class Raw(io.FileIO):
            def write(self, data: Any) -> int:
                faults.before("write")
                return super().write(data)

        def fdopen(descriptor: int, mode: str, _: int) -> io.BufferedWriter:
            return io.BufferedWriter(Raw(descriptor, mode), 128)

        patch.setattr(os, "fdopen", fdopen)

    def _wrapped(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.before(name)
            return real(*args, **kwargs)

        return call


@pytest.fixture
def twice(
    night_over: NightOver, tmp_path: Path
) -> tuple[Night, list[dict[str, bytes]]]:
    """A run exported once, then answered further; and both sets of files."""
    night = night_over(numbered(12))
    for row in range(6):
        night.record(row)
    night.export()
    old = outputs(tmp_path)
    for row in range(6, 12):
        night.record(row, result=result_of("later"))
    night.export()
    new = outputs(tmp_path)
    restore(tmp_path, old)
    night.close()  # no fork while threads run
    return night, [old, new]


def test_an_error_at_any_moment_leaves_old_or_new(
    twice: tuple[Night, list[dict[str, bytes]]], tmp_path: Path
) -> None:
    """Every open, write, fsync, rename in turn; no temp file is ever left."""
    night, (old, new) = twice
    failed: list[str] = []
    while what := failed_at(night, len(failed)):
        failed.append(what)
        found = outputs(tmp_path)
        check(found, old, new)
        assert set(found) == set(old), "no temp file is left"
        restore(tmp_path, old)
    assert set(failed) == {"open", "write", "fsync", "replace", "fchmod"}
    assert outputs(tmp_path) == new


def failed_at(night: Night, at: int) -> str | None:
    """Export with the `at`-th call failing; what failed, None if it went through."""
    failed: list[str] = []

    def fail(what: str) -> None:
        failed.append(what)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.MonkeyPatch.context() as patch:
        try:
            night.export(prepare=lambda: Faults(at, fail).install(patch))
        except (OutputError, ItemFileError):
            return failed[0]
    return None


def test_a_kill_at_any_moment_leaves_old_or_new(
    twice: tuple[Night, list[dict[str, bytes]]], tmp_path: Path
) -> None:
    """SIGKILL before every call in turn; the next export clears what it left."""
    night, (old, new) = twice
    at = 0
    while killed_at(night, at):
        found = outputs(tmp_path)
        check(found, old, new)
        night.export()
        assert outputs(tmp_path) == new
        restore(tmp_path, old)
        at += 1
    assert at > 20
    assert outputs(tmp_path) == new


def killed_at(night: Night, at: int) -> bool:
    """Export in a child that is killed before its `at`-th call; if it came so far."""
    child = os.fork()
    if not child:
        try:
            faults = Faults(at, lambda _: os.kill(os.getpid(), signal.SIGKILL))
            night.export(prepare=lambda: faults.install(pytest.MonkeyPatch()))
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def check(
    found: dict[str, bytes], old: dict[str, bytes], new: dict[str, bytes]
) -> None:
    """Each target is one of the two; a new summary has only new files beside it."""
    for name, data in old.items():
        assert found[name] in (data, new[name])
    summary = next(name for name in old if name.endswith("_summary.json"))
    if found[summary] == new[summary]:
        assert all(found[name] == new[name] for name in new)


def outputs(folder: Path) -> dict[str, bytes]:
    """Every file beside the items."""
    content = dict(folder_content(folder))
    del content["items.jsonl"]
    return content


def restore(folder: Path, content: dict[str, bytes]) -> None:
    """Make the files beside the items these."""
    for name in outputs(folder):
        (folder / name).unlink()
    for name, data in content.items():
        (folder / name).write_bytes(data)


def test_a_full_disk_is_named_with_what_to_do(
    night_over: NightOver, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = night_over(numbered(1))
    night.record(0)

    def fsync(_: int) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr("os.fsync", fsync)
    with pytest.raises(OutputError) as caught:
        night.export()
    assert "processed.jsonl cannot be written (Disk quota exceeded)" in str(
        caught.value
    )
    assert "runner export" in str(caught.value)


def test_an_error_of_the_callers_own_is_passed_on(night_over: NightOver) -> None:
    """A terminal that went away is no fault of the output file."""
    night = night_over(numbered(1))
    night.record(0)

    def told(_done: int, _total: int) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        night.export(on_progress=told)
    assert not night.config.output.processed_path.exists()


def test_leftovers_of_dead_processes_go_those_of_living_ones_stay(
    night_over: NightOver, tmp_path: Path
) -> None:
    night = night_over(numbered(1))
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        child = process.pid
    dead = tmp_path / f".items_processed.jsonl.{child}.tmp"
    others = [
        tmp_path / f".items_processed.jsonl.{os.getppid()}.tmp",
        tmp_path / ".items_processed.jsonl.mine.tmp",
        tmp_path / f".items_processed.jsonl.{10**30}.tmp",
        tmp_path / f"items_processed.jsonl.{child}.tmp",
    ]
    for path in (dead, *others):
        path.write_bytes(b"half a line")
    night.export()
    assert not dead.exists()
    assert all(path.exists() for path in others)


@pytest.mark.parametrize("mode", [0o640, 0o600])
def test_answers_are_as_private_as_the_items(night_over: NightOver, mode: int) -> None:
    night = night_over(numbered(1))
    night.items_path.chmod(mode)
    mask = os.umask(0o022)
    try:
        night.export()
    finally:
        os.umask(mask)
    output = night.config.output
    for path in (output.processed_path, output.failed_path, output.summary_path):
        assert path.stat().st_mode & 0o777 == mode


def test_permissions_given_to_an_earlier_export_are_kept(night_over: NightOver) -> None:
    night = night_over(numbered(1))
    night.export()
    night.config.output.processed_path.chmod(0o664)
    night.export()
    assert night.config.output.processed_path.stat().st_mode & 0o777 == 0o664
