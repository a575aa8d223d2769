"""What comes in over a connection: heads, and for `http.client` the rest.

That library throws away what a server sent beyond a reply, and takes a head that
breaks off for one that ends. Here the first is told, and the second an error.

Floor: doors and rules. Knows heads.
"""

import http.client
import re
import socket

from runner.client.head import Head

_PIECE_BYTES = 1 << 16
_MOST_HEAD_BYTES = 1 << 20
_VERSION = b"HTTP/"
_END_OF_HEAD = re.compile(rb"\n\r?\n")


class Incoming:
    """What a connection brings; knows what nobody has read of it."""

    closed = False

    def __init__(self, connected: socket.socket) -> None:
        self._connected = connected
        self._unread = b""

    @property
    def has_rest(self) -> bool:
        """Whether the server said more than was read."""
        return bool(self._unread)

    def take_head(self) -> Head:
        """Return a reply's head; waits through all that a server says before it.

        Raises http.client.HTTPException where it is none, OSError as the socket.
        """
        while (head := Head.parse(self._head())).is_interim:
            pass
        return head

    def makefile(self, _mode: str) -> "Incoming":
        """`HTTPResponse` asks the socket for it."""
        return self

    def readline(self, size: int) -> bytes:
        """A line, or so many bytes of a longer one."""
        while (end := self._unread.find(b"\n", 0, size) + 1) == 0:
            if len(self._unread) >= size:
                end = size
                break
            self._read_more("a line")
        return self._take(end)

    def read(self, size: int = -1) -> bytes:
        """So many bytes, fewer only at the end; all until the end for -1."""
        pieces = [self._unread]
        had = len(self._unread)
        while size < 0 or had < size:
            piece = self._connected.recv(_PIECE_BYTES)
            if not piece:
                break
            pieces.append(piece)
            had += len(piece)
        self._unread = b"".join(pieces)
        return self._take(had if size < 0 else size)

    def read1(self, size: int) -> bytes:
        """What is there, or comes next."""
        self._unread = self._unread or self._connected.recv(_PIECE_BYTES)
        return self._take(size)

    def flush(self) -> None:
        """Nothing is ever written here."""

    def close(self) -> None:
        """The connection stays."""

    def _head(self) -> bytes:
        """Status line and headers, with the line end of the last one."""
        while not (end := _END_OF_HEAD.search(self._unread)):
            if self._unread[: len(_VERSION)] != _VERSION[: len(self._unread)]:
                # Nothing else may follow: a banner, TLS where none was expected.
                raise http.client.BadStatusLine(repr(self._unread[:80]))
            if len(self._unread) > _MOST_HEAD_BYTES:
                raise http.client.LineTooLong("a reply's head")
            self._read_more("a reply's head")
        head = self._take(end.end())
        return head[: end.start() + 1]

    def _read_more(self, of_what: str) -> None:
        piece = self._connected.recv(_PIECE_BYTES)
        if not piece:
            raise http.client.RemoteDisconnected(f"closed in the middle of {of_what}")
        self._unread += piece

    def _take(self, size: int) -> bytes:
        there = self._unread
        self._unread = there[size:]
        return there[:size]


def begun(incoming: Incoming) -> tuple[Head, http.client.HTTPResponse]:
    """A reply's head, and the library's reply as its `begin` would leave it.

    Raises as `Incoming.take_head`.
    """
    head = incoming.take_head()
    reply = http.client.HTTPResponse(incoming, method="POST")  # type: ignore[arg-type]
    reply.version = 10 if head.is_old else 11
    reply.status, reply.length = head.status, head.length
    reply.chunked = head.is_chunked
    if head.is_chunked:
        reply.chunk_left = None
    reply.will_close = head.closes
    return head, reply
