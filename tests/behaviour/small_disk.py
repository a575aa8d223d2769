"""A disk of a few megabytes, that a test can fill and empty."""

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

_BLOCK = b"\0" * 4096


@dataclass(frozen=True)
class SmallDisk:
    """A file system of its own."""

    folder: Path

    def fill(self) -> None:
        """Leave no block free."""
        with (
            (self.folder / "ballast").open("ab", buffering=0) as ballast,
            contextlib.suppress(OSError),
        ):
            while True:
                ballast.write(_BLOCK)

    def make_room(self) -> None:
        """Take back what `fill` took."""
        (self.folder / "ballast").unlink()


@contextlib.contextmanager
def mounted(folder: Path, size_mib: int) -> Iterator[SmallDisk]:
    """A small disk at `folder`; skips the test where nobody may mount one."""
    folder.mkdir(mode=0o700)
    options = f"size={size_mib}m,mode=0700"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    mount = subprocess.run(command, capture_output=True, text=True, check=False)
    if mount.returncode:
        pytest.skip(f"no small disk here: {mount.stderr.strip()}")
    try:
        yield SmallDisk(folder)
    finally:
        # Lazily: a process that a failed test left behind may still be in it.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
