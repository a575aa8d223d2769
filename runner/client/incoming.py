"""What comes in over a connection, as the standard library's `http.client` reads it.

That library finds the end of a body well and reads headers slowly: with its parser
for e-mail, a tenth of a millisecond for the twenty that OpenAI sends, of which three
say where the body ends. So the head is taken apart here, and the library is given
the status and those three. Its ways with a bad head are mended on the way: a head that
breaks off is an error, a length said twice is said, and what a server sent beyond a
reply is told.

Floor: doors and rules. Knows nobody.
"""

import http.client
import re
import socket

Headers = list[tuple[bytes, bytes]]
"""Names and values as they came."""

_PIECE_BYTES = 1 << 16
_MOST_HEAD_BYTES = 1 << 20
_VERSION = b"HTTP/"
_END_OF_HEAD = re.compile(rb"\n\r?\n")
_INTERIM = re.compile(rb"HTTP/\S+\s+1(?!01)\d\d\b")
"""The answer is still to come (RFC 9110, 15.2): 102 from a server at work, 103 from a
CDN. After 101 it would speak another protocol."""
_CONNECTION = frozenset({b"connection", b"keep-alive", b"proxy-connection"})
_CODINGS, _LENGTH = b"transfer-encoding", b"content-length"
_MOST_DIGITS = 16


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

    def take_head(self) -> Headers:
        """Return a reply's headers; what says where its body ends is left to read.

        Waits through all that a server says before it has a reply.

        Raises http.client.HTTPException where it is none, OSError as the socket.
        """
        while True:
            status, _, lines = self._head().partition(b"\n")
            if not _INTERIM.match(status):
                break
        headers = _fields(lines)
        self._unread = status + b"\n" + _framing(headers) + b"\r\n" + self._unread
        return headers

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


def _fields(lines: bytes) -> Headers:
    """Names and values; a line that begins with a space goes on with the one before."""
    headers: Headers = []
    for line in lines.splitlines():
        name, colon, value = line.partition(b":")
        if line[:1].isspace() and headers:
            name, before = headers.pop()
            headers.append((name, before + b" " + line.strip()))
        elif colon and name.strip():
            headers.append((name.strip(), value.strip()))
    return headers


def _framing(headers: Headers) -> bytes:
    """What of the headers `http.client` has to know, in a form that it knows.

    Of several codings it knows none, also where the last is chunked (RFC 9112, 6.3);
    a length said twice is said (RFC 9110, 8.6), and it takes it for none.
    """
    kept: list[bytes] = []
    said: dict[bytes, bytes] = {}
    for name, value in headers:
        wanted = name.lower()
        if wanted in _CONNECTION:
            kept.append(b"%b: %b" % (name, value))
        elif wanted in (_CODINGS, _LENGTH):
            said[wanted] = said.get(wanted, b"") + value + b","
    codings = _words(said.get(_CODINGS, b""))
    if codings and codings[-1].lower() == b"chunked":
        kept.append(b"Transfer-Encoding: chunked")
    lengths = set(_words(said.get(_LENGTH, b"")))
    if len(lengths) == 1:
        length = lengths.pop()
        if length.isdigit() and len(length) < _MOST_DIGITS:
            kept.append(b"Content-Length: " + length)
    return b"".join(line + b"\r\n" for line in kept)


def _words(said: bytes) -> list[bytes]:
    return [word.strip() for word in said.split(b",") if word.strip()]
