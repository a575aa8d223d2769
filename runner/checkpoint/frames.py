"""Pages in a -wal file, also those behind a frame that SQLite stops at.

A frame is one page as one commit left it. SQLite goes by a chain of checksums, so one
flipped bit hides all that came later, sound as it is; what is read here proves itself.
The format: https://www.sqlite.org/walformat.html, "The WAL File Format".

Floor: doors and rules. Pure.
"""

import struct
from collections.abc import Iterator

from runner.checkpoint.pages import Pages

_HEADER_BYTES, _FRAME_BYTES = 32, 24
_SALTS_AT = slice(16, 24)
_PAGE_SIZE_AT = slice(8, 12)
_FRAME = struct.Struct(">II8s")
"""Page number; pages of the database where a commit ends, else 0; salts."""


class Frames:
    """The pages of all commits in the file, in the order of writing."""

    def __init__(self, content: memoryview, under: Pages) -> None:
        """Read the frames' heads only.

        Args:
            content: The -wal file.
            under: The database; what the -wal does not hold stands there.
        """
        self._content = content
        self._under = under
        self._numbers = _committed(content, under.page_bytes)
        self._last = {number: at for at, number in enumerate(self._numbers)}
        self.page_bytes = under.page_bytes
        self.size_bytes = len(content) + under.size_bytes

    def __iter__(self) -> Iterator[tuple[int, memoryview]]:
        return ((n, self._page(at)) for at, n in enumerate(self._numbers))

    def page(self, number: int) -> memoryview:
        """The page as the last commit left it."""
        at = self._last.get(number)
        return self._under.page(number) if at is None else self._page(at)

    def _page(self, at: int) -> memoryview:
        size = _FRAME_BYTES + self.page_bytes
        start = _HEADER_BYTES + at * size + _FRAME_BYTES
        return self._content[start : start + self.page_bytes]


def page_size_of(content: memoryview) -> int:
    """What the file's header says of its pages' size."""
    return int.from_bytes(content[_PAGE_SIZE_AT], "big")


def _committed(content: memoryview, page_bytes: int) -> list[int]:
    """The page number of each frame, up to the end of the last commit.

    What follows the last frame with the file's salts is left from before the file was
    begun anew, and is in the database since. A frame in between is of this time,
    whatever its own salts say.
    """
    size = _FRAME_BYTES + page_bytes
    starts = range(_HEADER_BYTES, len(content) - size + 1, size)
    heads = [_FRAME.unpack_from(content, start) for start in starts]
    salts = bytes(content[_SALTS_AT])
    if heads and all(head[2] != salts for head in heads):
        salts = heads[0][2]  # the header is damaged
    ours = (at for at, head in enumerate(heads) if head[2] == salts and head[1])
    last = max(ours, default=-1)
    return [number for number, _, _ in heads[: last + 1]]
