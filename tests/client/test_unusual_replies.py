"""Replies that HTTP allows and few servers send: the answer in them was paid for."""

from collections.abc import Callable

import pytest
from client_server import Script, Server, always, chat, http

from runner.client import Client

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
        reply = client.call(chat(), "night-1-1")
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
