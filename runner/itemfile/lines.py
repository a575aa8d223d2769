"""Where does a line begin, where does it end, which bytes is it?

Splits on LF only: U+2028 or NEL inside a string is part of its line. A line is
never held beyond MAX_LINE_BYTES. Must not know JSON.

Floor: doors and rules. Knows source.
"""

import io
from collections.abc import Iterator
from pathlib import Path

from runner.itemfile.source import (
    BLOCK_BYTES,
    BOM,
    HashedSource,
    refuse_other_encodings,
)

MAX_LINE_BYTES = 16 << 20
_ENDS_BYTES = 2
"""CR and LF."""

Line = tuple[int, int, int, bytes | None]
"""Number from 1, offset, length; the bytes without their end, None: too long."""


def lines_of(source: HashedSource, path: Path) -> Iterator[Line]:
    """Every line, blank ones too; raises ItemFileError for UTF-16 and the like."""
    reader = io.BufferedReader(source, BLOCK_BYTES)
    start = reader.peek(4)
    refuse_other_encodings(start[:4], path)
    offset = len(reader.read(len(BOM))) if start.startswith(BOM) else 0
    number = 0
    while line := reader.readline(MAX_LINE_BYTES + _ENDS_BYTES):
        number += 1
        raw = _without_end(line)
        if len(raw) > MAX_LINE_BYTES:
            line_bytes, end_bytes = _rest_of(reader, line)
            yield number, offset, line_bytes, None
            offset += line_bytes + end_bytes
        else:
            yield number, offset, len(raw), raw
            offset += len(line)


def _without_end(line: bytes) -> bytes:
    return line.removesuffix(b"\n").removesuffix(b"\r")


def _rest_of(reader: "io.BufferedReader[HashedSource]", line: bytes) -> tuple[int, int]:
    """Pass over a line that is too long; its bytes without and of its end."""
    total, tail = len(line), line[-_ENDS_BYTES:]
    while not tail.endswith(b"\n") and (part := reader.readline(BLOCK_BYTES)):
        total += len(part)
        tail = (tail + part)[-_ENDS_BYTES:]
    kept = len(_without_end(tail))
    return total - (len(tail) - kept), len(tail) - kept
