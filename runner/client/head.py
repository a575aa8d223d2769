"""What does a reply's head say: the status, the headers, and where the body ends?

The standard library's `http.client` reads bodies well and heads slowly: its parser is
made for e-mail, and takes a tenth of a millisecond for the twenty headers that OpenAI
sends. It also takes an end of the connection for the end of a head, and knows no
length that is said twice.

Floor: doors and rules. Pure. Knows nobody.
"""

import http.client
import re
from dataclasses import dataclass
from typing import Self

Headers = list[tuple[bytes, bytes]]
"""Names and values as they came."""

_STATUS = re.compile(rb"HTTP/(\S+)\s+(\d{3})(?=\s|$)")
_OLD = (b"1.0", b"0.9")
_AT_WORK = frozenset(range(100, 200)) - {101}
"""The answer is still to come (RFC 9110, 15.2): 102 from a server at work, 103 from a
CDN. After 101 it would speak another protocol."""
_WITHOUT_BODY = frozenset({101, 204, 304})
_MOST_DIGITS = 16
_FRAMING = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"transfer-encoding",
        b"content-length",
    }
)


@dataclass(frozen=True, slots=True)
class Head:
    """A head, taken apart."""

    status: int
    is_old: bool
    """HTTP/1.0: it closes unless it says that it does not."""
    headers: Headers
    is_chunked: bool
    length: int | None
    """Bytes of the body; None: it is chunked, or ends with its connection."""
    closes: bool
    """Whether the connection ends with the reply."""

    @property
    def is_interim(self) -> bool:
        """Whether it only says that a reply is to come."""
        return self.status in _AT_WORK

    @classmethod
    def parse(cls, head: bytes) -> Self:
        """Take apart status line and headers.

        Raises http.client.HTTPException where there is no status line of HTTP/1.
        """
        first, _, lines = head.partition(b"\n")
        said = _STATUS.match(first)
        if said is None or not (said[1].startswith(b"1.") or said[1] in _OLD):
            raise http.client.BadStatusLine(repr(first[:80]))
        headers = _fields(lines)
        status, is_old = int(said[2]), said[1] in _OLD
        framing = _framing(headers)
        is_chunked = _is_chunked(framing)
        length = None if is_chunked else _length(framing)
        if status in _WITHOUT_BODY:
            length = 0
        is_endless = length is None and not is_chunked
        closes = is_endless or _closes(framing, is_old=is_old)
        return cls(status, is_old, headers, is_chunked, length, closes)


def _fields(lines: bytes) -> Headers:
    """Names and values; a line that begins with a space goes on with the one before."""
    headers: Headers = []
    for line in lines.splitlines():
        name, colon, value = line.partition(b":")
        if line[:1].isspace() and headers:
            name, before = headers.pop()
            headers.append((name, before + b" " + line.strip()))
        elif colon and name.strip():
            headers.append((name.strip(), value.strip()))
    return headers


def _framing(headers: Headers) -> dict[bytes, bytes]:
    """Those that say where the body and the connection end; several become a list."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        wanted = name.lower()
        if wanted in _FRAMING:
            before = found.get(wanted)
            found[wanted] = value if before is None else before + b"," + value
    return found


def _is_chunked(framing: dict[bytes, bytes]) -> bool:
    """Whether the last of the codings is that (RFC 9112, 6.3)."""
    codings = _words(framing.get(b"transfer-encoding", b""))
    return bool(codings) and codings[-1].lower() == b"chunked"


def _length(framing: dict[bytes, bytes]) -> int | None:
    """The length; said twice, it is said (RFC 9110, 8.6). Two of them are none."""
    said = set(_words(framing.get(b"content-length", b"")))
    length = said.pop() if len(said) == 1 else b""
    return int(length) if length.isdigit() and len(length) < _MOST_DIGITS else None


def _closes(framing: dict[bytes, bytes], *, is_old: bool) -> bool:
    kept = framing.get(b"connection", b"").lower()
    if not is_old:
        return b"close" in kept
    proxied = framing.get(b"proxy-connection", b"").lower()
    is_kept = b"keep-alive" in kept or b"keep-alive" in proxied
    return not (is_kept or framing.get(b"keep-alive"))


def _words(said: bytes) -> list[bytes]:
    return [word.strip() for word in said.split(b",") if word.strip()]
