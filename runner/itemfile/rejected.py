"""Which lines cannot be items, and why?

Any number of bad lines costs the memory of ten: the rest are counted, and
streamed to a file for those who leave bad lines out.
Must not know JSON's rules.

Floor: doors and rules. Knows durable and errors.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from runner.durable import replacing
from runner.errors import ItemFileError, StateDamaged, StoreError
from runner.itemfile.text import path_text

SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedLine:
    """One line that cannot be an item."""

    line: int
    """From 1."""
    offset: int
    """First byte in the file."""
    length: int
    """Bytes, without the line end."""
    what: str
    hint: str


class RejectedLines:
    """How many lines were bad, and the first ten of them."""

    __slots__ = ("count", "first")

    def __init__(self) -> None:
        self.count = 0
        self.first: list[RejectedLine] = []

    def add(self, rejected: RejectedLine) -> None:
        """Count one more."""
        self.count += 1
        if len(self.first) < SHOWN:
            self.first.append(rejected)

    def error(self, path: Path, *, accepted: int) -> ItemFileError:
        """Name the first bad line and where the others are."""
        first = self.first[0]
        message = f"{path_text(path)}:{first.line}: {first.what}{self._others()}"
        if not accepted:
            return ItemFileError(f"{message}; no line of it is usable", first.hint)
        return ItemFileError(
            message, f"{first.hint}, or leave bad lines out with --on-bad-line skip"
        )

    def _others(self) -> str:
        if self.count == 1:
            return ""
        lines = ", ".join(str(rejected.line) for rejected in self.first[1:])
        more = ", ..." if self.count > len(self.first) else ""
        return f" (bad lines in all: {self.count}; also {lines}{more})"


class RejectedFile:
    """Streams bad lines to a JSONL file that appears, whole, at the block's end.

    `with RejectedFile(path) as file: scan(..., on_rejected=file.write)`; nothing
    is left when the block raises. Raises StoreError when the disk refuses.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open = ExitStack()
        self._stream: IO[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._stream = self._open.enter_context(replacing(self._path))
        except OSError as error:
            raise self._refused(error) from error
        return self

    def write(self, rejected: RejectedLine) -> None:
        """Add one line."""
        assert self._stream is not None, "only inside its with block"
        try:
            self._stream.write(json.dumps(asdict(rejected)).encode("ascii") + b"\n")
        except OSError as error:
            raise self._refused(error) from error

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

    def _refused(self, error: OSError) -> StoreError:
        return StoreError(
            f"{path_text(self._path)} cannot be written ({error.strerror or error})",
            "free some space, or check the folder's permissions",
        )


def read_rejected(path: Path) -> Iterator[RejectedLine]:
    """The lines a RejectedFile holds; raises StateDamaged."""
    try:
        with path.open("rb") as file:
            for line in file:
                yield RejectedLine(**json.loads(line))
    except (OSError, ValueError, TypeError) as error:
        raise StateDamaged(
            f"{path_text(path)} is missing or damaged ({type(error).__name__})"
        ) from error
