"""How far has a call come, and when is it over? One Flight a call.

`timeout=` of the HTTP layer is per read: a server that sends a byte now and then
holds a call for ever. So the deadline is ours: at it the socket is shut, which
wakes the thread that reads from it at once (closing a socket does not).

Floor: doors and rules. Knows nobody; sees sockets, never bodies.
"""

import socket
import threading
from collections.abc import Callable
from enum import Enum, auto
from typing import Any


class Phase(Enum):
    """How far the request is known to have got."""

    CONNECTING = auto()
    """Not a byte of it has left."""
    SENDING = auto()
    """Part of it may have left: no server can have worked on it."""
    SENT = auto()
    """All of it has left: the server may work on it, and bill it."""


class Cut(Enum):
    """Why we ended a call ourselves."""

    DEADLINE = auto()
    ABANDONED = auto()


class HeldBack(Exception):
    """It could have gone, and may not any more."""


class Flight:
    """One call in the air: its socket, how far it is, what has come back.

    Belongs to the thread that calls; only `cut` is called from another one.
    """

    def __init__(
        self,
        started_s: float,
        limit_s: float,
        held: socket.socket | None,
        may_go: Callable[[], bool] = lambda: True,
    ) -> None:
        self.started_s = started_s
        """On the clock's monotonic seconds."""
        self.limit_s = limit_s
        self.socket = held
        """The connection in use, kept from an earlier call or new."""
        self.phase = Phase.CONNECTING
        self.is_held_back = False
        self.looks_again = True
        """Once the connection is there, where another layer makes it."""
        self.has_answers: Callable[[], bool] = lambda: True
        """Whether anything was answered in this session."""
        self._may_go = may_go
        self.cut_by: Cut | None = None
        self.status: int | None = None
        self.headers: list[tuple[str, str]] = []
        self.chunks: list[bytes] = []
        """What has come of the body: evidence, should the rest never come."""
        self.parsed: dict[str, Any] | None = None
        """The JSON object that the whole of it is."""
        self._lock = threading.Lock()
        self._has_landed = False

    def look_before_going(self) -> None:
        """Ask the last time whether it may go; HeldBack: it may not."""
        if not self._may_go():
            self.is_held_back = True
            raise HeldBack

    def is_overdue(self, now_s: float) -> bool:
        """Whether its time is over."""
        return now_s - self.started_s >= self.limit_s

    def cut(self, why: Cut) -> bool:
        """Shut the socket, unless the call is over or cut already.

        The lock keeps this from hitting the thread's next call, which may use the
        same socket.
        """
        with self._lock:
            if self._has_landed or self.cut_by:
                return False
            self.cut_by = why
            _shut(self.socket)
        return True

    def land(self) -> None:
        """Say that the call is over: nothing is cut, nothing kept from here on."""
        with self._lock:
            self._has_landed = True
        self.chunks = []

    def observe(self, event: str, info: dict[str, Any]) -> None:
        """Follow the connection: httpcore's documented `trace` extension.

        Raises HeldBack, where its layer is about to send: it closes the connection.
        """
        step = event.partition(".")[2]
        if step in ("connect_tcp.complete", "start_tls.complete"):
            self.hold(info["return_value"].get_extra_info("socket"))
        elif step == "send_request_headers.started":
            # A proxy's CONNECT goes first, through the same events.
            if info["request"].method != b"CONNECT":
                if self.looks_again:
                    self.look_before_going()
                self.phase = Phase.SENDING
        elif step == "send_request_headers.failed":
            # The kernel took no complete head: nothing a server could act on.
            self.phase = Phase.CONNECTING
        elif step == "send_request_body.complete" and self.phase is Phase.SENDING:
            self.phase = Phase.SENT

    def hold(self, connected: socket.socket) -> None:
        """Go on over this connection; shut it if the call was cut meanwhile."""
        with self._lock:
            self.socket = connected
            if self.cut_by:
                _shut(connected)


def _shut(connected: socket.socket | None) -> None:
    if connected is None:
        return
    try:
        # Not SSLSocket.shutdown: it drops the TLS layer first, and what the
        # calling thread sends in that moment, key included, would go in the clear.
        socket.socket.shutdown(connected, socket.SHUT_RDWR)
    except OSError:
        # Closed by its thread in this moment, or handed over to TLS, whose
        # handshake has a time limit of its own: there is nobody to wake.
        return


class Flights:
    """All calls in the air."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: set[Flight] = set()
        self._is_grounded = False

    def start(self, flight: Flight) -> bool:
        """Add a call; False once everything was abandoned."""
        with self._lock:
            if not self._is_grounded:
                self._flights.add(flight)
            return not self._is_grounded

    def end(self, flight: Flight) -> None:
        """Take a call out again."""
        flight.land()
        with self._lock:
            self._flights.discard(flight)

    def cut_overdue(self, now_s: float) -> int:
        """Cut the calls past their deadline; return how many."""
        with self._lock:
            overdue = [f for f in self._flights if f.is_overdue(now_s)]
        return sum(flight.cut(Cut.DEADLINE) for flight in overdue)

    def abandon(self) -> None:
        """Cut all calls, and let none start again."""
        with self._lock:
            self._is_grounded = True
            flights = list(self._flights)
        for flight in flights:
            flight.cut(Cut.ABANDONED)
