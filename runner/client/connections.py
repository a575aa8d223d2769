"""How does a request travel? Each call has a connection to itself.

httpcore's pool scans all its connections and requests under one lock at every
call; with hundreds of threads that scan costs more than the call. Here the one that
rested last is taken, once it has rested: with few calls under way few connections
are used, and these stay warm. Straight to the server goes over a wire of our own;
through a proxy, over the SDK's HTTP layer.

Floor: doors and rules. Knows flights, unpacking, the wire and the way by a proxy.
"""

import collections
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator

import httpx2

from runner.client.flights import Flight
from runner.client.proxied import ThroughProxy
from runner.client.unpacking import unpacked
from runner.client.wire import KEEPALIVE_S, Origin, Wire

REST_S = 0.05
"""What a server says beyond its answer, a second one in the worst case, comes at once
or not at all. Read with the next call it would be taken for that call's answer, and
each answer after it for that of the call before."""
MOST_BODY_BYTES = 256 * 1024 * 1024
"""No answer is near this; the memory of a worker is shared by all its calls."""


class _Lane:
    """One connection and the call it is on."""

    def __init__(self, way: "Wire | ThroughProxy") -> None:
        self.way = way
        self.socket: socket.socket | None = None
        self.flight: Flight | None = None
        self.rested_s = time.monotonic()
        """Since when nobody uses it (monotonic)."""


class LaneTransport(httpx2.BaseTransport):
    """Sends each call over a connection that nobody else uses meanwhile."""

    def __init__(
        self,
        url: httpx2.URL,
        tls: ssl.SSLContext,
        proxy: httpx2.Proxy | None,
        most: int,
    ) -> None:
        """Where `most` connections are open none waits for one to have rested."""
        is_secure = url.scheme == "https"
        self._origin = Origin(
            host=url.raw_host.decode("ascii").strip("[]"),
            port=url.port or (443 if is_secure else 80),
            tls=tls if is_secure else None,
        )
        self._tls = tls
        self._proxy = proxy
        self._local = threading.local()
        self._most = most
        self._lock = threading.Lock()
        self._lanes: set[_Lane] = set()
        self._resting: collections.deque[_Lane] = collections.deque()
        self._rested: collections.deque[_Lane] = collections.deque()
        """Long enough. In both, the one that came back last stands last."""
        # A proxy that cannot be used is found now, not at the first call.
        self._rested.append(self._new())

    def board(
        self, started_s: float, limit_s: float, may_go: Callable[[], bool]
    ) -> Flight:
        """Begin a call of this thread."""
        with self._lock:
            lane = self._taken()
        self._local.lane = lane
        lane.flight = Flight(started_s, limit_s, lane.socket, may_go)
        return lane.flight

    def leave(self) -> None:
        """End this thread's call, which has landed; its connection is anybody's."""
        lane: _Lane = self._local.lane
        self._local.lane = lane.flight = None
        is_kept = lane.way.is_kept
        with self._lock:
            if is_kept:
                lane.rested_s = time.monotonic()
                self._resting.append(lane)
            else:
                self._lanes.discard(lane)
        if not is_kept:
            lane.way.close()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send the request of the flight this thread has boarded."""
        lane: _Lane = self._local.lane
        flight = lane.flight
        assert flight is not None, "board() comes before a send"
        try:
            response = lane.way.handle_request(request, flight)
        finally:
            lane.socket = flight.socket
        flight.status = response.status_code
        flight.headers = response.headers.multi_items()
        response.stream = _Recorded(unpacked(response), flight)
        return response

    def close_rested(self) -> None:
        """Let go of connections that nobody has needed for as long as one is kept."""
        over = []
        with self._lock:
            self._ripen()
            until_s = time.monotonic() - KEEPALIVE_S
            while self._rested and self._rested[0].rested_s <= until_s:
                over.append(self._rested.popleft())
            self._lanes.difference_update(over)
        for lane in over:
            lane.way.close()

    def close(self) -> None:
        """Close all connections; calls under way have been cut, or will fail."""
        with self._lock:
            lanes, self._lanes = self._lanes, set()
        for lane in lanes:
            lane.way.close()

    def _taken(self) -> _Lane:
        """The one that rested last, of those that rested long enough; else a new one.

        Where there may be no more, the one that has rested longest.
        """
        self._ripen()
        if self._rested:
            return self._rested.pop()
        if self._resting and len(self._lanes) >= self._most:
            return self._resting.popleft()
        return self._new()

    def _ripen(self) -> None:
        until_s = time.monotonic() - REST_S
        while self._resting and self._resting[0].rested_s <= until_s:
            self._rested.append(self._resting.popleft())

    def _new(self) -> _Lane:
        lane = _Lane(self._way())
        self._lanes.add(lane)
        return lane

    def _way(self) -> "Wire | ThroughProxy":
        if self._proxy is None:
            return Wire(self._origin)
        return ThroughProxy(self._tls, self._proxy)


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
