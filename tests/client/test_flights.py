"""How far a request got decides whether it can have been billed."""

import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

from runner.client.failures import of_break
from runner.client.flights import Cut, Flight, Flights, Phase
from runner.records import FailureKind

POST: dict[str, Any] = {"request": SimpleNamespace(method=b"POST")}
TUNNEL: dict[str, Any] = {"request": SimpleNamespace(method=b"CONNECT")}


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    theirs.settimeout(0)
    yield ours, theirs
    ours.close()
    theirs.close()


def is_shut(theirs: socket.socket) -> bool:
    try:
        return theirs.recv(1) == b""
    except BlockingIOError:
        return False


def connected(ours: socket.socket) -> dict[str, Any]:
    return {"return_value": SimpleNamespace(get_extra_info=lambda _: ours)}


@pytest.mark.parametrize(
    ("events", "phase", "kind", "is_billed"),
    [
        ([], Phase.CONNECTING, FailureKind.NOT_SENT, False),
        (["started"], Phase.SENDING, FailureKind.CUT, False),
        # The kernel took no head: nothing that a server could act on.
        (["started", "failed"], Phase.CONNECTING, FailureKind.NOT_SENT, False),
        (["started", "body"], Phase.SENT, FailureKind.CUT, True),
    ],
)
def test_what_has_left_decides_what_a_break_means(
    events: list[str], phase: Phase, kind: FailureKind, *, is_billed: bool
) -> None:
    flight = Flight(0.0, 60.0, None)
    names = {
        "started": "http11.send_request_headers.started",
        "failed": "http11.send_request_headers.failed",
        "body": "http11.send_request_body.complete",
    }
    for event in events:
        flight.observe(names[event], POST)
    failure = of_break(httpx2.ReadError("reset by peer"), flight)
    assert flight.phase is phase
    assert (failure.kind, failure.possibly_billed) == (kind, is_billed)


def test_a_tunnel_through_a_proxy_is_not_the_request() -> None:
    flight = Flight(0.0, 60.0, None)
    flight.observe("http11.send_request_headers.started", TUNNEL)
    flight.observe("http11.send_request_body.complete", TUNNEL)
    assert flight.phase is Phase.CONNECTING


def test_a_call_that_is_over_is_not_cut(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """Its thread may be on its next call, over the same socket."""
    ours, theirs = pair
    flights, flight = Flights(), Flight(0.0, 60.0, ours)
    assert flights.start(flight)
    flights.end(flight)
    assert not flight.cut(Cut.DEADLINE)
    assert flights.cut_overdue(1e9) == 0
    assert not is_shut(theirs)


def test_a_call_is_cut_once(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    flights, flight = Flights(), Flight(100.0, 60.0, ours)
    flights.start(flight)
    assert (flights.cut_overdue(159.9), is_shut(theirs)) == (0, False)
    assert (flights.cut_overdue(160.0), is_shut(theirs)) == (1, True)
    assert flights.cut_overdue(161.0) == 0


@pytest.mark.parametrize("step", ["connect_tcp", "start_tls"])
def test_a_call_cut_while_it_connects_is_shut_once_it_has(
    pair: tuple[socket.socket, socket.socket], step: str
) -> None:
    """A name lookup cannot be interrupted; its connection is of no use any more."""
    ours, theirs = pair
    flight = Flight(0.0, 60.0, None)
    assert flight.cut(Cut.DEADLINE)
    flight.observe(f"connection.{step}.complete", connected(ours))
    assert is_shut(theirs)
    failure = of_break(httpx2.ConnectTimeout("late"), flight)
    assert (failure.kind, failure.possibly_billed) == (FailureKind.NOT_SENT, False)


def test_an_unheard_of_failure_after_the_send_may_have_cost() -> None:
    flight = Flight(0.0, 60.0, None)
    flight.phase = Phase.SENT
    failure = of_break(MemoryError(), flight)
    assert (failure.kind, failure.possibly_billed) == (FailureKind.CUT, True)
    assert failure.message == "the call failed: MemoryError"


def test_a_refused_connection_is_said_in_words_without_the_systems_number() -> None:
    flight = Flight(0.0, 60.0, None)
    refused = httpx2.ConnectError("[Errno 111] Connection refused")
    failure = of_break(refused, flight)
    assert failure.message == "could not connect: Connection refused"
