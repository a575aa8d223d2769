"""A server that packs its answers although it was asked not to."""

import gzip
import zlib
from collections.abc import Callable

import pytest
from client_server import Script, Server, always, chat, http

from runner.client import Client
from runner.records import FailureKind

Serve = Callable[[Script], Server]
Connect = Callable[..., Client]
BODY = b'{"choices": [{"message": {"content": "' + b"long " * 400_000 + b'"}}]}'


def raw(body: bytes) -> bytes:
    """What some mean by "deflate": no head, no check."""
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    ("packed", "name"),
    [
        (gzip.compress(BODY), "gzip"),
        (gzip.compress(BODY), "X-GZIP"),
        (gzip.compress(BODY), "gzip, identity"),
        (gzip.compress(BODY), "identity,GZIP"),
        (gzip.compress(BODY[:99]) + gzip.compress(BODY[99:]), "gzip"),
        (gzip.compress(b"") + gzip.compress(BODY) + gzip.compress(b""), "gzip"),
        (gzip.compress(BODY) + bytes(512), "gzip"),
        (gzip.compress(BODY) + b"\r\n", "gzip"),
        (zlib.compress(BODY), "deflate"),
        (raw(BODY), "deflate"),
        (BODY, "identity"),
    ],
)
def test_its_answer_is_kept_unpacked(
    packed: bytes, name: str, serve: Serve, connect: Connect
) -> None:
    server = serve(always(http(200, packed, Content_Encoding=name)))
    reply = connect(server.url).call(chat(), "r-1-1")
    assert reply.failure is None
    assert BODY == reply.body


def test_an_answer_in_several_members_may_come_byte_by_byte(
    serve: Serve, connect: Connect
) -> None:
    packed = gzip.compress(BODY[:99]) + gzip.compress(BODY[99:])
    pieces = b"".join(b"1\r\n%c\r\n" % byte for byte in packed)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked"
    server = serve(always(head + b"\r\n\r\n" + pieces + b"0\r\n\r\n"))
    reply = connect(server.url).call(chat(), "r-1-1")
    assert reply.failure is None
    assert BODY == reply.body


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "gzip, gzip"])
def test_what_does_not_unpack_may_be_billed(
    name: str, serve: Serve, connect: Connect
) -> None:
    server = serve(always(http(200, b"\x1f\x8b no gzip", Content_Encoding=name)))
    failure = connect(server.url).call(chat(), "r-1-1").failure
    assert failure is not None
    assert FailureKind.GARBLED == failure.kind
    assert failure.possibly_billed


def test_a_small_answer_that_unpacks_to_gigabytes_is_cut(
    serve: Serve, connect: Connect
) -> None:
    packer, piece = zlib.compressobj(wbits=31), bytes(1 << 20)
    packed = b"".join(packer.compress(piece) for _ in range(300)) + packer.flush()
    server = serve(always(http(200, packed, Content_Encoding="gzip")))
    reply = connect(server.url).call(chat(), "r-1-1")
    assert reply.failure is not None
    assert "longer than 256 MiB" in reply.failure.message
    assert reply.failure.possibly_billed
    assert b"" == reply.body


def test_members_that_unpack_to_gigabytes_together_are_cut(
    serve: Serve, connect: Connect
) -> None:
    packed = gzip.compress(bytes(1 << 20)) * 300
    server = serve(always(http(200, packed, Content_Encoding="gzip")))
    reply = connect(server.url).call(chat(), "r-1-1")
    assert reply.failure is not None
    assert "longer than 256 MiB" in reply.failure.message
    assert b"" == reply.body
