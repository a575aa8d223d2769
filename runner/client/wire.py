"""How do the bytes of one call go out and come back? HTTP/1.1 over one socket.

Writes the request in one piece and reads the reply with the standard library's
`http.client`: a third of the work that the SDK's own HTTP layer has with it (0.2 ms
of CPU a call instead of 0.5). One call uses it at a time. What breaks is
raised in the words of httpx2, which the SDK and our table of failures know.

Floor: doors and rules. Knows flights.
"""

import contextlib
import http.client
import select
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2

from runner.client.flights import Flight, Phase

KEEPALIVE_S = 30.0
"""Shorter than servers' own: a request sent into a connection that is just being
closed is lost, possibly billed."""
_PIECE_BYTES = 1 << 16
_INTERIM = frozenset(range(100, 200)) - {101}
"""The answer is still to come (RFC 9110, 15.2): 102 from a server at work, 103 from a
CDN. After 101 it would speak another protocol."""

_MOST_DIGITS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where connections go."""

    host: str
    port: int
    tls: ssl.SSLContext | None


class Wire:
    """One connection, opened when it is needed and kept for the next call."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._socket: socket.socket | None = None
        self._used_s = 0.0

    def handle_request(
        self, request: httpx2.Request, flight: Flight
    ) -> httpx2.Response:
        """Send; the reply's head is there, its body still to be read.

        Raises httpx2.TransportError, and lets go of the connection; HeldBack, and
        keeps it.
        """
        limits = request.extensions["timeout"]
        connected = self._connected(flight, limits["connect"])
        try:
            connected.settimeout(limits["write"])
            error = _send(connected, _head(request), request.content, flight)
            connected.settimeout(limits["read"])
            incoming = _Incoming(connected)
            reply = _reply(incoming, error)
        except BaseException:
            self.close()
            raise
        body = _Body(reply, incoming, self)
        headers = [
            # As they came: a server may send any byte, and http.client reads Latin-1.
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, value in reply.getheaders()
        ]
        return httpx2.Response(reply.status, headers=headers, stream=body)

    @property
    def is_kept(self) -> bool:
        """Whether there is a connection for the next call."""
        return self._socket is not None

    def rest(self) -> None:
        """Nothing is under way on the connection, and it is as good as new."""
        self._used_s = time.monotonic()

    def close(self) -> None:
        """Let go of the connection."""
        connected, self._socket = self._socket, None
        if connected is not None:
            connected.close()

    def _connected(self, flight: Flight, limit_s: float) -> socket.socket:
        """Where it goes from here; the last look at whether it may is behind it.

        Raises HeldBack; the connection is kept for the next call.
        """
        if self._socket is not None:
            # This may take a while. What the server says meanwhile, a late second
            # answer to what was asked before, would be read as the answer to this.
            flight.look_before_going()
            if not self._is_over(self._socket):
                return self._socket
            self.close()
        self._socket = _connect(self._origin, flight, limit_s)
        self.rest()
        # Again, and only now: a connection may take seconds.
        flight.look_before_going()
        return self._socket

    def _is_over(self, connected: socket.socket) -> bool:
        """Whether the server has closed it, or soon will, or speaks unasked."""
        if time.monotonic() - self._used_s > KEEPALIVE_S or connected.fileno() < 0:
            return True
        look = select.poll()  # not select(): descriptors go beyond 1,024
        look.register(connected, select.POLLIN)
        return bool(look.poll(0))


class _Body(httpx2.SyncByteStream):
    """A reply's body, in the pieces in which it comes."""

    def __init__(
        self, reply: http.client.HTTPResponse, incoming: "_Incoming", wire: Wire
    ) -> None:
        self._reply = reply
        self._incoming = incoming
        self._wire = wire
        self._is_whole = False
        self._is_empty = True

    def __iter__(self) -> Iterator[bytes]:
        with _named(httpx2.ReadTimeout, httpx2.ReadError):
            while self._reply.length != 0 and (
                piece := self._reply.read1(_PIECE_BYTES)
            ):
                self._is_empty = False
                yield piece
            if self._reply.length:
                raise httpx2.RemoteProtocolError(
                    f"the connection ended {self._reply.length} bytes too early"
                )
        self._is_whole = True

    def close(self) -> None:
        self._reply.close()
        # Servers have been seen to send a body with what must not have one.
        is_at_its_end = self._is_whole and not self._incoming.has_rest
        if is_at_its_end and not (self._is_empty or self._reply.will_close):
            self._wire.rest()
        else:
            self._wire.close()


def _connect(origin: Origin, flight: Flight, limit_s: float) -> socket.socket:
    with _named(httpx2.ConnectTimeout, httpx2.ConnectError):
        connected = socket.create_connection((origin.host, origin.port), limit_s)
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            flight.hold(connected)
            if origin.tls is None:
                return connected
            # Its time limit is the socket's.
            secured = origin.tls.wrap_socket(connected, server_hostname=origin.host)
        except BaseException:
            connected.close()
            raise
    flight.hold(secured)
    return secured


def _head(request: httpx2.Request) -> bytes:
    lines = [b"%s %s HTTP/1.1" % (request.method.encode(), request.url.raw_path)]
    lines += [b"%s: %s" % header for header in request.headers.raw]
    head = b"\r\n".join([*lines, b"", b""])
    if not head.count(b"\r") == head.count(b"\n") == len(lines) + 1:
        raise httpx2.LocalProtocolError("a header holds a line end")
    return head


def _send(
    connected: socket.socket, head: bytes, body: bytes, flight: Flight
) -> OSError | None:
    """Send all of it; the error that kept the server from taking all of it.

    It may have answered all the same: a request that is too large, for example.
    """
    flight.phase = Phase.SENDING
    left = memoryview(head + body)
    try:
        with _named(httpx2.WriteTimeout):
            while left:
                left = left[connected.send(left) :]
    except OSError as error:
        if len(left) > len(body):
            # The kernel took no complete head: nothing a server could act on.
            flight.phase = Phase.CONNECTING
            raise httpx2.WriteError(str(error)) from error
        return error
    flight.phase = Phase.SENT
    return None


class _Incoming:
    """What comes in, as `HTTPResponse` reads it; knows what nobody has read.

    `http.client` takes the end of a connection within a reply's head for the end of
    the head (its parser is made for e-mail), and throws away what a server sent
    beyond a reply. Here a line that breaks off is an error, and the rest is told.
    """

    closed = False

    def __init__(self, connected: socket.socket) -> None:
        self._connected = connected
        self._unread = b""

    @property
    def has_rest(self) -> bool:
        """Whether the server said more than was read."""
        return bool(self._unread)

    def makefile(self, _mode: str) -> "_Incoming":
        """`HTTPResponse` asks the socket for it."""
        return self

    def readline(self, size: int) -> bytes:
        """A line, or so many bytes of a longer one."""
        pieces = [self._unread]
        had = len(self._unread)
        end = self._unread.find(b"\n") + 1
        while not end and had < size:
            piece = self._connected.recv(_PIECE_BYTES)
            if not piece:
                raise http.client.RemoteDisconnected("closed in the middle of a line")
            pieces.append(piece)
            end = piece.find(b"\n") + 1
            end += had if end else 0
            had += len(piece)
        return self._take(b"".join(pieces), min(end or size, size))

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
        return self._take(b"".join(pieces), had if size < 0 else size)

    def read1(self, size: int) -> bytes:
        """What is there, or comes next."""
        return self._take(self._unread or self._connected.recv(_PIECE_BYTES), size)

    def flush(self) -> None:
        """Nothing is ever written here."""

    def close(self) -> None:
        """The connection stays."""

    def _take(self, there: bytes, size: int) -> bytes:
        self._unread = there[size:]
        return there[:size]


def _reply(incoming: Any, broke: OSError | None) -> http.client.HTTPResponse:
    """The reply's head, behind all that a server says before it has one."""
    reply = _begun(incoming, broke)
    while reply.status in _INTERIM:
        reply = _begun(incoming, broke)
    _find_end(reply)
    return reply


def _find_end(reply: http.client.HTTPResponse) -> None:
    """Where `http.client` takes a body to end with its connection, and it does not.

    Of several codings it knows none, also where the last is chunked (RFC 9112, 6.3);
    a length said twice is said (RFC 9110, 8.6), and it takes it for none.
    """
    if reply.chunked or reply.length == 0:
        return
    codings = _listed(reply, "transfer-encoding")
    lengths = set(_listed(reply, "content-length"))
    if codings and codings[-1].lower() == "chunked":
        reply.chunked, reply.chunk_left, reply.length = True, None, None
    elif reply.length is None and len(lengths) == 1:
        length = lengths.pop()
        is_number = length.isdecimal() and len(length) < _MOST_DIGITS
        reply.length = int(length) if is_number else None


def _listed(reply: http.client.HTTPResponse, name: str) -> list[str]:
    said = ",".join(reply.headers.get_all(name, []))
    return [word.strip() for word in said.split(",") if word.strip()]


def _begun(incoming: Any, broke: OSError | None) -> http.client.HTTPResponse:
    reply = http.client.HTTPResponse(incoming, method="POST")
    try:
        with _named(httpx2.ReadTimeout, httpx2.ReadError):
            reply.begin()
    except httpx2.TransportError as error:
        reply.close()
        raise error from broke or error.__cause__
    return reply


@contextlib.contextmanager
def _named(
    late: type[httpx2.TransportError], broken: type[httpx2.TransportError] | None = None
) -> Iterator[None]:
    """What the standard library raises, in the words of httpx2."""
    try:
        yield
    except TimeoutError as error:
        raise late(str(error)) from error
    except http.client.HTTPException as error:
        words = str(error) or type(error).__name__
        raise httpx2.RemoteProtocolError(words) from error
    except OSError as error:
        if broken is None:
            raise
        raise broken(str(error)) from error
