"""How does a file of lines appear, whole or not at all?

Owns one target while it is written: temp file beside it, count, digest, fsync,
rename. Every OSError of the target becomes an OutputError that names it.
Must not know what a line holds.

Floor: the run. Knows durable, errors.
"""

import hashlib
import os
import stat
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from runner.durable import remove_leftovers, replacing
from runner.errors import OutputError
from runner.records import JsonObject
from runner.summary import WrittenFile

_PERMISSIONS = 0o777
_READ_AND_WRITE = 0o666
_OWNER_ONLY = 0o600


class LineFile:
    """Takes lines; they replace the file at `path` when the block succeeds.

    When it does not, `path` is as it was and no temp file is left.
    """

    def __init__(self, path: Path, *, like: Path) -> None:
        """Prepare to write `path`; where it is new, as private as `like`."""
        self._path = path
        self._like = like
        self._open = ExitStack()
        self._stream: IO[bytes] | None = None
        self._sha256 = hashlib.sha256()
        self._lines = 0
        self._size_bytes = 0

    def __enter__(self) -> Self:
        try:
            self._stream = self._enter()
        except OSError as error:
            raise self._refused(error) from error
        return self

    def write(self, line: bytes) -> None:
        """Add one line, its line end included; raises OutputError."""
        assert self._stream is not None, "only inside its with block"
        try:
            self._stream.write(line)
        except OSError as error:
            raise self._refused(error) from error
        self._sha256.update(line)
        self._lines += 1
        self._size_bytes += len(line)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._open.__exit__(kind, error, trace)
        except OSError as failed:  # the block's own error is never raised here
            raise self._refused(failed) from failed

    def synced(self) -> JsonObject:
        """All lines are on disk, and what the file is from now on; raises OutputError.

        Call it after the last line: `check_targets` knows the file again by this.
        """
        assert self._stream is not None, "only inside its with block"
        try:
            self._stream.flush()
            os.fsync(self._stream.fileno())
            mtime_ns = os.fstat(self._stream.fileno()).st_mtime_ns
        except OSError as error:
            raise self._refused(error) from error
        sha256 = self._sha256.hexdigest()
        return {"bytes": self._size_bytes, "mtime_ns": mtime_ns, "sha256": sha256}

    def written(self) -> WrittenFile:
        """What has been written so far."""
        return WrittenFile(
            name=self._path.name,
            lines=self._lines,
            size_bytes=self._size_bytes,
            sha256=self._sha256.hexdigest(),
        )

    def _enter(self) -> IO[bytes]:
        remove_leftovers(self._path)
        permissions = _permissions_of(self._path)
        if permissions is None:
            mode = _mode_like(self._like)
            return self._open.enter_context(replacing(self._path, mode=mode))
        stream = self._open.enter_context(replacing(self._path))
        os.fchmod(stream.fileno(), permissions)
        return stream

    def _refused(self, error: OSError) -> OutputError:
        return OutputError(
            f"{self._path} cannot be written ({error.strerror or error})",
            "free some space or mend its folder, then `runner export`",
        )


def _mode_like(questions: Path) -> int:
    """Answers are as private as the questions; the umask applies too."""
    try:
        mode = questions.stat().st_mode
    except FileNotFoundError:
        mode = _OWNER_ONLY  # nobody can say for whom they were
    return mode & _READ_AND_WRITE | stat.S_IWUSR


def _permissions_of(path: Path) -> int | None:
    """What the user made of an earlier export; None when there is none."""
    try:
        return path.lstat().st_mode & _PERMISSIONS
    except FileNotFoundError:
        return None
