"""P1: what a server says is read as the standard library would, and no worse."""

import http.client
import io
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.client.head import Headers
from runner.client.incoming import Incoming, begun

BODY = b'{"choices": []}'
NAMES = st.text(string.ascii_letters + string.digits + "-_.!", min_size=1, max_size=12)
VALUES = st.text(
    st.characters(min_codepoint=33, max_codepoint=255, exclude_categories=["Cc"]),
    max_size=20,
).map(str.strip)
KEPT = [
    b"Connection: close",
    b"Connection: Keep-Alive",
    b"connection: x, close",
    b"Keep-Alive: timeout=5",
    b"Proxy-Connection: keep-alive",
]
FRAMING = {"content-length", "transfer-encoding", "connection", "keep-alive"}
HEADERS = st.lists(
    st.tuples(NAMES.filter(lambda name: name.lower() not in FRAMING), VALUES),
    max_size=8,
)


class Pieces:
    """A socket that brings its bytes in pieces of that size, and then its end."""

    def __init__(self, content: bytes, size: int) -> None:
        self._content = io.BytesIO(content)
        self._size = size

    def recv(self, most: int) -> bytes:
        """The next ones."""
        return self._content.read(min(most, self._size))

    def makefile(self, _mode: str) -> io.BytesIO:
        """For the standard library's own reading."""
        return self._content


def pieces_of(content: bytes, size: int = 1 << 16) -> Any:
    """Such a socket."""
    return Pieces(content, size)


def taken(content: bytes, size: int = 1 << 16) -> tuple[Headers, int, bytes]:
    """Headers, status and body, as the wire reads them."""
    head, found = begun(Incoming(pieces_of(content, size)))
    return head.headers, found.status, found.read()


def reply(*headers: bytes, body: bytes = BODY) -> bytes:
    """Bytes of a reply."""
    return (
        b"HTTP/1.1 200 OK\r\n" + b"".join(h + b"\r\n" for h in headers) + b"\r\n" + body
    )


@given(
    headers=HEADERS,
    kept=st.lists(st.sampled_from(KEPT), max_size=1),
    version=st.sampled_from([b"1.1", b"1.0"]),
    status=st.sampled_from([200, 204, 304, 400, 429, 503]),
    size=st.integers(1, 400),
    is_chunked=st.booleans(),
)
def test_a_reply_is_begun_as_the_standard_library_begins_it(
    headers: list[tuple[str, str]],
    kept: list[bytes],
    version: bytes,
    status: int,
    size: int,
    *,
    is_chunked: bool,
) -> None:
    lines = [f"{name}: {value}".encode("latin-1") for name, value in headers] + kept
    length, body = b"Content-Length: %d" % len(BODY), BODY
    if is_chunked:
        length = b"Transfer-Encoding: chunked"
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
    content = reply(*lines, length, body=body)
    content = content.replace(b"1.1 200", b"%b %d" % (version, status), 1)
    theirs = http.client.HTTPResponse(pieces_of(content), method="POST")
    theirs.begin()
    head, ours = begun(Incoming(pieces_of(content, size)))
    for name in ("status", "version", "length", "chunked", "chunk_left", "will_close"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert ours.read() == theirs.read()
    assert [(n.decode("latin-1"), v.decode("latin-1")) for n, v in head.headers] == [
        (name, value.strip()) for name, value in theirs.getheaders()
    ]


@pytest.mark.parametrize("end", range(len(reply(b"Content-Length: 15", b"X: y")) - 15))
def test_a_head_that_breaks_off_is_no_reply(end: int) -> None:
    content = reply(b"Content-Length: 15", b"X: y")[:end]
    with pytest.raises(http.client.RemoteDisconnected):
        taken(content, 7)


@pytest.mark.parametrize("banner", [b"SSH-2.0-OpenSSH_9\r\n", b"\x15\x03\x01", b"\r\n"])
def test_what_is_no_reply_is_known_by_its_first_bytes(banner: bytes) -> None:
    """Whoever greets first waits for us: it would be a timeout."""

    class Silent(Pieces):
        def recv(self, most: int) -> bytes:
            piece = super().recv(most)
            assert piece, "it waits for more"
            return piece

    silent: Any = Silent(banner, 1)
    with pytest.raises(http.client.BadStatusLine):
        Incoming(silent).take_head()


@pytest.mark.parametrize(
    ("lines", "headers"),
    [
        ([b"X: a", b"\t b", b"Y: c"], [(b"X", b"a b"), (b"Y", b"c")]),
        ([b"X : a"], [(b"X", b"a")]),
        ([b"no colon", b"X: a"], [(b"X", b"a")]),
        ([b": nameless", b"X:"], [(b"X", b"")]),
        ([b" first", b"X: a"], [(b"X", b"a")]),
        ([b"X: a\nY: b"], [(b"X", b"a"), (b"Y", b"b")]),
    ],
)
def test_a_crooked_header_costs_no_other_one(
    lines: list[bytes], headers: Headers
) -> None:
    length = b"Content-Length: %d" % len(BODY)
    found, status, body = taken(reply(*lines, length) + b"more")
    assert found[:-1] == headers
    assert (status, body) == (200, BODY)


@pytest.mark.parametrize(
    "lengths",
    [
        [b"Content-Length: 15", b"Content-Length: 15"],
        [b"Content-Length: 15, 15"],
        [b"Content-Length: 15", b"content-length:15"],
    ],
)
def test_a_length_said_twice_is_said(lengths: list[bytes]) -> None:
    assert taken(reply(*lengths) + b"more")[2] == BODY


@pytest.mark.parametrize("length", [b"-1", b"0x0f", b"1" * 17, b"15, 16", b"", b"\xb2"])
def test_a_length_that_is_none_leaves_the_end_to_the_connection(length: bytes) -> None:
    assert taken(reply(b"Content-Length: " + length))[2] == BODY


def test_a_head_without_end_is_given_up() -> None:
    with pytest.raises(http.client.LineTooLong):
        taken(reply(b"X: " + b"y" * (2 << 20)))
