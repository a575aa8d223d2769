"""What does one item's record look like, in memory and on disk alike?

52 bytes an item, behind a header of 64, in one mapping. Must not know what the
fields mean.

Floor: doors and rules. Knows nobody.
"""

import mmap
import struct

HEADER_BYTES = 64
RECORD = struct.Struct("<QIII16s16s")
"""Offset, length, line, number, id digest, fingerprint."""
RECORD_BYTES = RECORD.size
NUMBER = struct.Struct("<I")
LINE_AT = HEADER_BYTES + 12
NUMBER_AT = HEADER_BYTES + 16
ID_AT = HEADER_BYTES + 20
FINGERPRINT_AT = HEADER_BYTES + 36
DIGEST_BYTES = 16
MAX_NUMBER = 2**32 - 2
"""2**32 - 1 means "no such number" in lookup tables."""


def anonymous(items: int) -> mmap.mmap:
    """Room for so many items; what is never written costs no memory."""
    return mmap.mmap(
        -1,
        HEADER_BYTES + items * RECORD_BYTES,
        flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS,
    )


def end_of(count: int) -> int:
    """First byte behind so many records."""
    return HEADER_BYTES + count * RECORD_BYTES
