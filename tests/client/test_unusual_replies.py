"""Replies that HTTP allows and few servers send: the answer in them was paid for."""

from collections.abc import Callable

import pytest
from client_server import Calling, Line, Script, Server, always, chat, http

from runner.client import Client
from runner.records import Failure, FailureKind

Serve = Callable[[Script], Server]
Connect = Callable[..., Client]
BODY = b'{"choices": [{"message": {"content": "an answer"}}]}'


@pytest.mark.parametrize(
    "before",
    [
        b"HTTP/1.1 102 Processing\r\n\r\n" * 3,
        b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n",
    ],
)
def test_a_server_that_says_it_is_at_work_has_not_answered_yet(
    before: bytes, serve: Serve, connect: Connect
) -> None:
    server = serve(always(before + http(200, BODY)))
    client = connect(server.url)
    for _ in range(2):
        reply = Calling(client, chat()).reply()
        assert (reply.failure, reply.status, reply.body) == (None, 200, BODY)
    assert (len(server.requests), server.connections) == (2, 1)


def test_a_server_that_changes_the_protocol_gave_no_answer(
    serve: Serve, connect: Connect
) -> None:
    switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n"
    reply = connect(serve(always(switch)).url).call(chat(), "night-1-1")
    assert reply.failure is not None
    assert reply.status == 101


def test_one_byte_that_is_no_utf8_leaves_the_answer_and_its_bytes(
    serve: Serve, connect: Connect
) -> None:
    body = BODY.replace(b"an answer", b"caf\xe9")
    reply = connect(serve(always(http(200, body))).url).call(chat(), "night-1-1")
    assert (reply.failure, reply.body) == (None, body)


CHUNK = b"%x\r\n%b\r\n" % (len(BODY), BODY)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (b"Content-Length: %d, %d" % (len(BODY), len(BODY)), BODY),
        (b"Transfer-Encoding: identity, chunked", CHUNK + b"0\r\n\r\n"),
        (
            b"Transfer-Encoding: identity\r\nTransfer-Encoding: Chunked",
            CHUNK + b"0\r\n\r\n",
        ),
        (
            b"Content-Length: 7\r\nTransfer-Encoding: identity, chunked",
            CHUNK + b"0\r\n\r\n",
        ),
    ],
)
def test_the_end_of_an_answer_is_found_however_it_is_said(
    headers: bytes, body: bytes, serve: Serve, connect: Connect
) -> None:
    """The connection stays open: nothing else tells it."""
    server = serve(always(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n%b" % (headers, body)))
    client = connect(server.url)
    for _ in range(2):
        reply = Calling(client, chat()).reply()
        assert (reply.failure, reply.body) == (None, BODY)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n\r\n" + BODY,
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 7\r\n\r\n" + BODY,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNK,
    ],
)
def test_an_answer_whose_end_is_never_said_is_no_timeout(
    answer: bytes, serve: Serve, connect: Connect
) -> None:
    """It is all there, and was paid for."""
    server = serve(always(answer))
    reply = connect(server.url, timeout_s=0.05).call(chat(), "night-1-1")
    assert (reply.failure, reply.status, reply.body) == (None, 200, BODY)


def test_a_refusal_whose_end_is_never_said_is_that_refusal(
    serve: Serve, connect: Connect
) -> None:
    slower = b'HTTP/1.1 429 Slower\r\n\r\n{"error": {"message": "slower"}}'
    failure = (
        connect(serve(always(slower)).url, timeout_s=0.05)
        .call(chat(), "night-1-1")
        .failure
    )
    assert failure is not None
    assert (failure.kind, failure.possibly_billed) == (FailureKind.THROTTLED, False)


def test_an_answer_that_is_shorter_than_it_says_is_none(
    serve: Serve, connect: Connect
) -> None:
    def script(line: Line) -> None:
        line.request()
        line.send(http(200, BODY, length=len(BODY) + 1))

    failure = connect(serve(script).url).call(chat(), "night-1-1").failure
    assert failure is not None
    assert (failure.kind, failure.possibly_billed) == (FailureKind.CUT, True)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_stops_a_run_only_while_nothing_was_answered(
    status: int, serve: Serve, connect: Connect
) -> None:
    """A wrong base URL is told at once; a balancer's whim at night is not one."""
    away = http(status, b"", location="https://elsewhere.example/v1?key=x")

    answers = iter([away, http(200, BODY), away, http(200, BODY)])

    def script(line: Line) -> None:
        while line.request() is not None:
            line.send(next(answers))

    failures: list[Failure | None] = []
    client = connect(serve(script).url, has_answers=lambda: None in failures)
    failures.extend(client.call(chat(), f"night-{n}-1").failure for n in range(4))
    kinds = [failure and failure.kind for failure in failures]
    assert kinds == [FailureKind.NOT_FOUND, None, FailureKind.SERVER, None]
    for failure in (failures[0], failures[2]):
        assert failure is not None
        assert failure.message.endswith("to https://elsewhere.example/v1")


@pytest.mark.parametrize("kind", ["text/html", "text/event-stream; charset=utf-8"])
def test_a_page_in_the_place_of_the_first_answer_stops_the_run(
    kind: str, serve: Serve, connect: Connect
) -> None:
    """A wrong base URL: not an outage to be waited out for hours."""
    page = http(200, b"<html>hi</html>").replace(b"application/json", kind.encode())
    url = serve(always(page)).url
    for has_answers in (False, True):
        client = connect(url, has_answers=lambda told=has_answers: told)
        failure = client.call(chat(), "night-1-1").failure
        assert failure is not None
        expected = FailureKind.GARBLED if has_answers else FailureKind.NOT_FOUND
        assert failure.kind is expected
        assert f"no JSON object ({kind})" in failure.message
