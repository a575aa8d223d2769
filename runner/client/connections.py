"""How does a request travel? One connection for each calling thread.

httpcore's pool scans all its connections and requests under one lock at every
call; with hundreds of threads that scan costs more than the call. A thread that
has a connection to itself never waits there, and its socket is known. Straight to
the server goes over a wire of our own; through a proxy, over the SDK's HTTP layer.

Floor: doors and rules. Knows flights, unpacking and the wire.
"""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator

import httpx2

from runner.client.flights import Flight, HeldBack
from runner.client.unpacking import unpacked
from runner.client.wire import KEEPALIVE_S, Origin, Wire

_LOOK_EVERY = 64
"""New connections: to look with each one for threads that have ended took 3 % of the
CPU of a run of 5,000 items with a thousand threads."""
MOST_BODY_BYTES = 256 * 1024 * 1024
"""No answer is near this; the store refuses more."""


class _Lane:
    """One thread's connection and the call it is on."""

    def __init__(self, way: "Wire | _ThroughProxy") -> None:
        self.way = way
        self.socket: socket.socket | None = None
        self.flight: Flight | None = None


class _ThroughProxy:
    """A connection that the SDK's HTTP layer makes: tunnels, SOCKS, logins."""

    def __init__(self, tls: ssl.SSLContext, proxy: httpx2.Proxy) -> None:
        one = httpx2.Limits(
            max_connections=1,
            max_keepalive_connections=1,
            keepalive_expiry=KEEPALIVE_S,
        )
        self._transport = httpx2.HTTPTransport(
            verify=tls, limits=one, proxy=proxy, retries=0
        )
        self._has_held_back = False

    def handle_request(
        self, request: httpx2.Request, flight: Flight
    ) -> httpx2.Response:
        # Before it connects, which may take seconds, and once more when the request's
        # own headers go. That costs the connection; so not twice in a row, or a proxy
        # that takes longer to connect than a permit lasts would carry nothing.
        flight.look_before_going()
        flight.looks_again, self._has_held_back = not self._has_held_back, False
        request.extensions = {**request.extensions, "trace": flight.observe}
        try:
            return self._transport.handle_request(request)
        except HeldBack:
            self._has_held_back = True
            raise

    def close(self) -> None:
        self._transport.close()


class LaneTransport(httpx2.BaseTransport):
    """Sends each thread's requests over that thread's own connection."""

    def __init__(
        self, url: httpx2.URL, tls: ssl.SSLContext, proxy: httpx2.Proxy | None
    ) -> None:
        is_secure = url.scheme == "https"
        self._origin = Origin(
            host=url.raw_host.decode("ascii").strip("[]"),
            port=url.port or (443 if is_secure else 80),
            tls=tls if is_secure else None,
        )
        self._tls = tls
        self._proxy = proxy
        self._local = threading.local()
        self._lock = threading.Lock()
        self._lanes: dict[threading.Thread, _Lane] = {}
        # A proxy that cannot be used is found now, not at the first call.
        self._lane()

    def board(
        self, started_s: float, limit_s: float, may_go: Callable[[], bool]
    ) -> Flight:
        """Begin a call on this thread's connection."""
        lane = self._lane()
        lane.flight = Flight(started_s, limit_s, lane.socket, may_go)
        return lane.flight

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send the request of the flight this thread has boarded."""
        lane = self._lane()
        flight = lane.flight
        assert flight is not None, "board() comes before a send"
        try:
            response = lane.way.handle_request(request, flight)
        finally:
            lane.socket = flight.socket
        # A load balancer's cookie would be sent along by every other thread.
        response.headers.pop("set-cookie", None)
        flight.status = response.status_code
        flight.headers = response.headers.multi_items()
        response.stream = _Recorded(unpacked(response), flight)
        return response

    def close(self) -> None:
        """Close all connections; the threads have ended, or will fail."""
        with self._lock:
            lanes = list(self._lanes.values())
            self._lanes.clear()
        for lane in lanes:
            lane.way.close()

    def _lane(self) -> _Lane:
        lane: _Lane | None = getattr(self._local, "lane", None)
        if lane is None:
            lane = self._local.lane = _Lane(self._way())
            with self._lock:
                closing = self._left() if len(self._lanes) % _LOOK_EVERY == 0 else []
                self._lanes[threading.current_thread()] = lane
            for old in closing:
                old.way.close()
        return lane

    def _left(self) -> list[_Lane]:
        """Lanes whose threads have ended, taken out. Only while locked."""
        gone = [thread for thread in self._lanes if not thread.is_alive()]
        return [self._lanes.pop(thread) for thread in gone]

    def _way(self) -> "Wire | _ThroughProxy":
        if self._proxy is None:
            return Wire(self._origin)
        return _ThroughProxy(self._tls, self._proxy)


class _Recorded(httpx2.SyncByteStream):
    """Keeps what has come of a body, for the case that the rest never comes."""

    def __init__(self, stream: httpx2.SyncByteStream, flight: Flight) -> None:
        self._stream = stream
        self._flight = flight

    def __iter__(self) -> Iterator[bytes]:
        received = 0
        for chunk in self._stream:
            received += len(chunk)
            if received > MOST_BODY_BYTES:
                self._flight.chunks.clear()
                raise httpx2.ReadError(
                    f"the answer is longer than {MOST_BODY_BYTES >> 20} MiB"
                )
            self._flight.chunks.append(chunk)
            yield chunk

    def close(self) -> None:
        self._stream.close()
