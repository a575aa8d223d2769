"""How do the bytes of one call go out and come back? HTTP/1.1 over one socket.

Writes the request in one piece and reads the reply's body with the standard library's
`http.client`: a third of the work that the SDK's own HTTP layer has with it (0.3 ms
of CPU a call instead of 0.85). One call uses it at a time, and gives the interpreter
lock away only to wait. What breaks is raised in the words of httpx2, which the SDK and
our table of failures know.

Floor: doors and rules. Knows flights, what comes in and peeking.
"""

import contextlib
import http.client
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx2

from runner.client.flights import Flight, Phase
from runner.client.head import Head
from runner.client.incoming import Incoming, begun
from runner.client.peeking import has_news

KEEPALIVE_S = 30.0
"""Shorter than servers' own: a request sent into a connection that is just being
closed is lost, possibly billed."""
_PIECE_BYTES = 1 << 16
_TIMEVAL = struct.Struct("@ll")
Limits = dict[str, float]
"""Seconds to connect, and that a write and a read may take."""


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
        connected = self._connected(flight, limits)
        try:
            error = _send(connected, _head(request), request.content, flight)
            incoming = Incoming(connected)
            head, reply = _reply(incoming, error)
        except BaseException:
            self.close()
            raise
        body = _Body(reply, incoming, self)
        return httpx2.Response(reply.status, headers=head.headers, stream=body)

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

    def _connected(self, flight: Flight, limits: Limits) -> socket.socket:
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
        self._socket = _connect(self._origin, flight, limits)
        self.rest()
        # Again, and only now: a connection may take seconds.
        flight.look_before_going()
        return self._socket

    def _is_over(self, connected: socket.socket) -> bool:
        """Whether the server has closed it, or soon will, or speaks unasked."""
        if time.monotonic() - self._used_s > KEEPALIVE_S or connected.fileno() < 0:
            return True
        return has_news(connected.fileno())


class _Body(httpx2.SyncByteStream):
    """A reply's body, in the pieces in which it comes."""

    def __init__(
        self, reply: http.client.HTTPResponse, incoming: Incoming, wire: Wire
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


def _connect(origin: Origin, flight: Flight, limits: Limits) -> socket.socket:
    with _named(httpx2.ConnectTimeout, httpx2.ConnectError):
        address = (origin.host, origin.port)
        connected = socket.create_connection(address, limits["connect"])
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            flight.hold(connected)
            if origin.tls is None:
                _limit(connected, limits)
                return connected
            # The handshake's time limit is still that of the connection.
            secured = origin.tls.wrap_socket(connected, server_hostname=origin.host)
        except BaseException:
            connected.close()
            raise
    # OpenSSL would take the kernel's limit for a reason to wait once more.
    secured.settimeout(limits["read"])
    flight.hold(secured)
    return secured


def _limit(connected: socket.socket, limits: Limits) -> None:
    """Have the kernel end a wait: Python would ask before each whether it has to.

    Each such question gives the interpreter lock away: with hundreds of threads a
    change to another one and back.
    """
    connected.settimeout(None)
    for option, name in ((socket.SO_SNDTIMEO, "write"), (socket.SO_RCVTIMEO, "read")):
        whole_s, part_s = divmod(limits[name], 1)
        wait = _TIMEVAL.pack(int(whole_s), int(part_s * 1_000_000))
        connected.setsockopt(socket.SOL_SOCKET, option, wait)


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


def _reply(
    incoming: Incoming, broke: OSError | None
) -> tuple[Head, http.client.HTTPResponse]:
    """A reply whose body is still to be read."""
    try:
        with _named(httpx2.ReadTimeout, httpx2.ReadError):
            return begun(incoming)
    except httpx2.TransportError as error:
        raise error from broke or error.__cause__


@contextlib.contextmanager
def _named(
    late: type[httpx2.TransportError], broken: type[httpx2.TransportError] | None = None
) -> Iterator[None]:
    """What the standard library raises, in the words of httpx2."""
    try:
        yield
    except (TimeoutError, BlockingIOError) as error:
        raise late(str(error)) from error
    except http.client.HTTPException as error:
        words = str(error) or type(error).__name__
        raise httpx2.RemoteProtocolError(words) from error
    except OSError as error:
        if broken is None:
            raise
        raise broken(str(error)) from error
