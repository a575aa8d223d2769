"""Items files for tests: written to disk, scanned with the usual rules."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.itemfile import ItemIndex, RejectedLine, Scan, scan
from runner.records import Item

needs_proc = pytest.mark.skipif(
    sys.platform != "linux", reason="/proc tells what the system knows of a process"
)
UTF8_BOM = b"\xef\xbb\xbf"


def written(folder: Path, *lines: bytes, end: bytes = b"\n") -> Path:
    """An items file holding these lines."""
    path = folder / "items.jsonl"
    path.write_bytes(b"".join(line + end for line in lines))
    return path


def scanned(
    path: Path,
    *,
    id_field: str | None = None,
    on_bad_line: str = "stop",
    check: Callable[[Item], None] | None = None,
    known: ItemIndex | None = None,
    on_rejected: Callable[[RejectedLine], None] | None = None,
) -> Scan:
    """`scan` with the result key every test uses."""
    return scan(
        path,
        id_field=id_field,
        result_key="llm",
        on_bad_line=on_bad_line,
        check=check,
        known=known,
        on_rejected=on_rejected,
    )


def numbers(index: ItemIndex) -> list[int]:
    """The items' numbers, row by row."""
    return [index.number(row) for row in range(len(index))]
