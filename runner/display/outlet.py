"""How is something written without the run ever depending on a reader?

A terminal that was closed (EIO), a pipe nobody reads any more (EPIPE) or a full
disk behind a redirection makes us silent, nothing else.

Floor: faces. Knows nobody.
"""

import io
import os
import select
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from typing_extensions import Buffer

_FULL_S = 1.0


def outlet(stream: TextIO | None) -> TextIO:
    """A stream that writes where `stream` does, and goes silent when it cannot.

    It holds nothing back: what was written has left, also when we are killed. A
    stream without a descriptor of its own (a test's, a notebook's) is used as it
    is; None (closed when we started) is silent at once.
    """
    if stream is None:
        return io.StringIO()
    try:
        descriptor = stream.fileno()
        stream.flush()
    except (OSError, ValueError):
        return io.StringIO() if stream.closed else stream
    return io.TextIOWrapper(
        _Guarded(descriptor),
        encoding=stream.encoding or "utf-8",
        # A terminal without the character shows its number, not a traceback.
        errors="backslashreplace",
        newline="\n",
        write_through=True,
    )


def tell(text: str) -> None:
    """Write what was asked for, and a line end, to stdout."""
    outlet(sys.stdout).write(f"{text}\n")


def note(text: str) -> None:
    """Write what is said beside it, and a line end, to stderr."""
    outlet(sys.stderr).write(f"{text}\n")


class _Guarded(io.BufferedIOBase):
    """Writes to a descriptor what it takes, and drops the rest; never closes it."""

    name = "guarded"

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def fileno(self) -> int:
        return self._descriptor

    def write(self, data: "Buffer") -> int:
        rest = memoryview(data)
        size = len(rest)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:
                # Somebody made the terminal non-blocking, and it is full.
                if not select.select([], [self._descriptor], [], _FULL_S)[1]:
                    break
            except OSError:
                # Nobody is there to be told. What matters is in the run's folder.
                break
        return size
