"""A call ends at its deadline, whatever the server sends meanwhile."""

import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from certificates import make_certificate, serving_with
from client_server import (
    WAIT_S,
    Calling,
    FakeClock,
    Line,
    Script,
    Server,
    always,
    chat,
    http,
)

from runner.client import Client
from runner.records import FailureKind, Reply

Serve = Callable[[Script], Server]
Connect = Callable[..., Client]

LIMIT_S = 60.0


@pytest.fixture
def busy() -> threading.Event:
    """Set by a server once it is at what should not last for ever."""
    return threading.Event()


@pytest.fixture
def cut_at_deadline(
    clock: FakeClock, busy: threading.Event
) -> Callable[[Client], Reply]:
    def run(client: Client) -> Reply:
        calling = Calling(client, chat())
        assert busy.wait(WAIT_S)
        # Let it block in its read: one that is just about to read is easily woken.
        calling.join(0.02)
        clock.now_s += LIMIT_S - 0.001
        assert client.enforce_deadlines() == 0
        clock.now_s += 0.002
        assert client.enforce_deadlines() == 1
        reply = calling.reply()
        assert client.enforce_deadlines() == 0
        return reply

    return run


def trickle(line: Line, piece: bytes, busy: threading.Event) -> None:
    """Send a little now and then, until the client has gone."""
    while line.send(piece):
        busy.set()
        threading.Event().wait(0.001)


def silent(busy: threading.Event) -> Script:
    def script(line: Line) -> None:
        line.request()
        busy.set()
        line.request()

    return script


def trickled_headers(busy: threading.Event) -> Script:
    def script(line: Line) -> None:
        line.request()
        line.send(b"HTTP/1.1 200 OK\r\n")
        trickle(line, b"x", busy)

    return script


def trickled_body(busy: threading.Event) -> Script:
    def script(line: Line) -> None:
        line.request()
        line.send(http(200, b'{"a": "', length=10**9))
        trickle(line, b"x", busy)

    return script


def trickled_body_without_length(busy: threading.Event) -> Script:
    """Such a body ends with its connection: our own cut looks like its end."""

    def script(line: Line) -> None:
        line.request()
        line.send(b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"a": "')
        trickle(line, b"x", busy)

    return script


def assert_late_and_billed(reply: Reply) -> None:
    assert reply.failure is not None
    assert reply.failure.kind is FailureKind.TIMEOUT
    assert reply.failure.possibly_billed
    assert reply.latency_s >= LIMIT_S


SLOW_SERVERS = [silent, trickled_headers, trickled_body, trickled_body_without_length]


@pytest.mark.parametrize("slow", SLOW_SERVERS)
def test_a_slow_answer_ends_at_the_deadline(
    serve: Serve,
    connect: Connect,
    busy: threading.Event,
    cut_at_deadline: Callable[[Client], Reply],
    slow: Callable[[threading.Event], Script],
) -> None:
    server = serve(slow(busy))
    assert_late_and_billed(cut_at_deadline(connect(server.url)))
    assert len(server.requests) == 1


def test_the_deadline_holds_on_a_connection_used_before(
    serve: Serve,
    connect: Connect,
    clock: FakeClock,
    busy: threading.Event,
) -> None:
    def script(line: Line) -> None:
        line.request()
        line.send(http())
        line.request()
        line.send(b"HTTP/1.1 200 OK\r\n")
        trickle(line, b"x", busy)

    server = serve(script)
    client = connect(server.url)
    replies: list[Reply] = []

    def two_calls() -> None:
        replies.extend(client.call(chat(), "run-1-1") for _ in range(2))

    thread = threading.Thread(target=two_calls)
    thread.start()
    assert busy.wait(WAIT_S)
    clock.now_s += LIMIT_S
    assert client.enforce_deadlines() == 1
    thread.join(WAIT_S)
    assert replies[0].failure is None
    assert_late_and_billed(replies[1])
    assert (len(server.requests), server.connections) == (2, 1)


def test_after_a_deadline_the_thread_goes_on_with_a_new_connection(
    serve: Serve, connect: Connect, clock: FakeClock, busy: threading.Event
) -> None:
    """A late answer to the first question must not become that of the second."""

    def script(line: Line) -> None:
        received = line.request()
        if received and b"first" in received.body:
            busy.set()
            line.request()
            return
        line.send(http(200, b'{"to": "second"}'))

    server = serve(script)
    client = connect(server.url)
    replies: list[Reply] = []

    def two_calls() -> None:
        replies.append(client.call(chat("first"), "run-1-1"))
        replies.append(client.call(chat("second"), "run-2-1"))

    thread = threading.Thread(target=two_calls)
    thread.start()
    assert busy.wait(WAIT_S)
    clock.now_s += LIMIT_S
    client.enforce_deadlines()
    thread.join(WAIT_S)
    assert_late_and_billed(replies[0])
    assert (replies[1].body, replies[1].failure) == (b'{"to": "second"}', None)
    assert server.connections == 2


def test_a_server_that_never_reads_is_late_but_not_billed(
    serve: Serve,
    connect: Connect,
    clock: FakeClock,
) -> None:
    """The request never left whole: nobody can have worked on it."""
    accepted, done = threading.Event(), threading.Event()

    def deaf(_: Line) -> None:
        accepted.set()
        done.wait(WAIT_S)

    client = connect(serve(deaf).url)
    calling = Calling(client, chat("x" * 50_000_000))
    assert accepted.wait(WAIT_S)
    clock.now_s += LIMIT_S
    while calling.is_alive():
        client.enforce_deadlines()
        calling.join(0.01)
    done.set()
    failure = calling.reply().failure
    assert failure is not None
    assert failure.kind in (FailureKind.TIMEOUT, FailureKind.NOT_SENT)
    assert not failure.possibly_billed


def test_without_a_keeper_of_deadlines_each_read_has_its_limit(
    serve: Serve, connect: Connect, busy: threading.Event
) -> None:
    server = serve(silent(busy))
    failure = Calling(connect(server.url, timeout_s=0.05), chat()).reply().failure
    assert failure is not None
    assert (failure.kind, failure.possibly_billed) == (FailureKind.TIMEOUT, True)
    assert len(server.requests) == 1


def test_each_read_has_its_limit_over_tls_as_well(
    serve: Serve, connect: Connect, tls: ssl.SSLContext, busy: threading.Event
) -> None:
    server = serve(over_tls(tls, silent(busy)))
    failure = Calling(connect(https(server), timeout_s=0.05), chat()).reply().failure
    assert failure is not None
    assert (failure.kind, failure.possibly_billed) == (FailureKind.TIMEOUT, True)


def test_an_answer_that_just_made_it_is_kept(
    serve: Serve, connect: Connect, clock: FakeClock
) -> None:
    """A whole answer is paid for, late or not."""

    def script(line: Line) -> None:
        line.request()
        line.send(http(200, b'{"a": 1}'))
        clock.now_s += LIMIT_S + 1

    client = connect(serve(script).url)
    reply = client.call(chat(), "run-1-1")
    assert (reply.failure, reply.body) == (None, b'{"a": 1}')
    assert client.enforce_deadlines() == 0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def tls(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """The server's side; the client is told as a user would be."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    return serving_with(certificate)


def over_tls(context: ssl.SSLContext, script: Script) -> Script:
    def wrapped(line: Line) -> None:
        if line.upgrade(context):
            script(line)

    return wrapped


def https(server: Server) -> str:
    return f"https://localhost:{server.port}/v1"


def test_tls_with_the_users_own_certificate_works(
    serve: Serve, connect: Connect, tls: ssl.SSLContext
) -> None:
    server = serve(over_tls(tls, always(http(200, b'{"a": 1}'))))
    client = connect(https(server))
    replies = [client.call(chat(), "run-1-1") for _ in range(3)]
    assert [reply.body for reply in replies] == [b'{"a": 1}'] * 3
    assert server.connections == 1


@pytest.mark.parametrize("slow", SLOW_SERVERS)
def test_the_deadline_holds_over_tls(
    serve: Serve,
    connect: Connect,
    tls: ssl.SSLContext,
    busy: threading.Event,
    cut_at_deadline: Callable[[Client], Reply],
    slow: Callable[[threading.Event], Script],
) -> None:
    server = serve(over_tls(tls, slow(busy)))
    assert_late_and_billed(cut_at_deadline(connect(https(server))))
    assert len(server.requests) == 1


def test_a_certificate_nobody_vouches_for_means_not_sent(
    serve: Serve,
    connect: Connect,
    tls: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    server = serve(over_tls(tls, always(http())))
    failure = connect(https(server)).call(chat(), "run-1-1").failure
    assert failure is not None
    assert failure.kind is FailureKind.NOT_SENT
    assert "certificate" in failure.message
    assert server.requests == []


def test_a_handshake_that_never_ends_means_not_sent(
    serve: Serve, connect: Connect, tls: ssl.SSLContext
) -> None:
    done = threading.Event()

    def no_handshake(line: Line) -> None:
        line.more()
        done.wait(WAIT_S)

    failure = (
        connect(https(serve(no_handshake)), timeout_s=0.05)
        .call(chat(), "run-1-1")
        .failure
    )
    done.set()
    assert failure is not None
    assert failure.kind is FailureKind.NOT_SENT


def test_cutting_a_tls_call_never_turns_tls_off(
    serve: Serve,
    connect: Connect,
    tls: ssl.SSLContext,
    busy: threading.Event,
    cut_at_deadline: Callable[[Client], Reply],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SSLSocket.shutdown drops the TLS layer before it shuts: a race with the key."""

    def forbidden(*_: object) -> None:
        raise AssertionError("SSLSocket.shutdown was used")

    monkeypatch.setattr(ssl.SSLSocket, "shutdown", forbidden)
    server = serve(over_tls(tls, silent(busy)))
    assert_late_and_billed(cut_at_deadline(connect(https(server))))
