"""Is there anything to read on a connection? `poll` that keeps the interpreter lock.

Python's own gives the lock away for the call, though with no time to wait it cannot
block: with hundreds of threads, a change to another one and back before each request
(3 % of a worker's CPU with 500 of them).

Floor: doors and rules. Knows nobody.
"""

import ctypes
import select

_LIBC = ctypes.PyDLL(None)


class _Asked(ctypes.Structure):
    """struct pollfd, poll(2)."""

    _fields_ = (
        ("fd", ctypes.c_int),
        ("events", ctypes.c_short),
        ("revents", ctypes.c_short),
    )


_LIBC.poll.argtypes = (ctypes.POINTER(_Asked), ctypes.c_ulong, ctypes.c_int)
_LIBC.poll.restype = ctypes.c_int


def has_news(fd: int) -> bool:
    """Whether bytes wait there, or its end, or an error; also where it cannot be asked.

    Not select(2): descriptors go beyond 1,024.
    """
    asked = _Asked(fd, select.POLLIN, 0)
    return bool(_LIBC.poll(ctypes.byref(asked), 1, 0))
