"""What was billed, whatever the client came to know of it?

Owns the ledger file: one JSON line for each request to a model endpoint, handed
to the kernel in one write before the first byte of the reply, so that killing
the simulator loses no line. Never holds a key or a text.

Floor: simulator, bottom. Knows wire.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from runner.simulator.wire import JsonObject, encode


class LedgerError(Exception):
    """The ledger holds something that no simulator wrote."""


class Ledger:
    """Appends lines; several simulators may append to one file."""

    def __init__(self, path: Path | None) -> None:
        self._fd = None if path is None else _open(path)

    def write(self, line: JsonObject) -> None:
        """Append one line. Page cache only: no fsync.

        Raises:
            OSError: nothing may be answered, because nobody would know its price.
        """
        if self._fd is None:
            return
        data = encode(line) + b"\n"
        if os.write(self._fd, data) != len(data):
            _cut_unfinished_line(self._fd)
            raise OSError("the ledger took only a part of a line")

    def close(self) -> None:
        """Give the file back."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def read_ledger(path: Path) -> Iterator[JsonObject]:
    """Every complete line of a ledger, oldest first; nothing if it is missing.

    Raises:
        LedgerError: a line that is not a JSON object.
    """
    if not path.exists():
        return
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith(b"\n"):
                return  # a line being written: its answer has not been sent
            yield _parsed(path, number, line)


def _open(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    _cut_unfinished_line(fd)
    return fd


def _cut_unfinished_line(fd: int) -> None:
    """Drop a half-written last line (a full disk): its answer was never sent."""
    size = os.fstat(fd).st_size
    end = size
    while end and os.pread(fd, 1, end - 1) != b"\n":
        end -= 1
    if end != size:
        os.ftruncate(fd, end)


def _parsed(path: Path, number: int, line: bytes) -> JsonObject:
    try:
        parsed = json.loads(line)
    except ValueError as error:
        raise LedgerError(f"{path}, line {number}: not JSON ({error})") from None
    if not isinstance(parsed, dict):
        raise LedgerError(f"{path}, line {number}: not a JSON object")
    return parsed
