"""Responses that no server should send, and some do: drawn from a seed.

A case is bytes and waits, and whether an answer was generated for it: then somebody
has paid, and the checkpoint must have its bytes or say that it may be billed.
"""

import copy
import gzip
import json
import random
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any


class End(Enum):
    """What the server does when it has sent everything."""

    KEEP = "keep the connection"
    CLOSE = "close it"
    RESET = "reset it"
    HANG = "say nothing more"
    DEAF = "reset it before the request is read"


@dataclass(frozen=True, slots=True)
class Odd:
    """One odd response."""

    name: str
    pieces: tuple[bytes | float, ...]
    """Bytes to send, seconds to wait."""
    end: End = End.CLOSE
    is_generated: bool = True
    """A model has worked: an answer, or the rest of one."""
    body: bytes | None = None
    """The answer whole, where all of it arrives under a head that says so."""
    may_stop: bool = False
    """A run may rightly stop for it, or wait for minutes."""


CHAT: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_700_000_000,
    "model": "gpt-4o-mini",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "fine", "refusal": None},
            "finish_reason": "stop",
        }
    ],
    "usage": {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 1},
    },
}
CODES = (
    *(100, 101, 199, 204, 205, 206, 299, 304, 400, 401, 402, 403, 404, 405, 407, 408),
    *(409, 410, 413, 418, 422, 429, 431, 451, 498, 499, 500, 501, 502, 503, 504, 507),
    *(511, 520, 524, 529, 530, 599, 600, 799, 999),
)
_STOPPING = {401, 402, 403, 404, 405, 407, 410, 413, 429, 451, 498, 503, 529}
_DEEP = b"[" * 900 + b"]" * 900


def encoded(value: Any) -> bytes:
    """JSON as a careless server writes it."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def head(body: bytes, status: str = "200 OK", **more: str) -> bytes:
    """A typical head; `more` replaces or adds headers."""
    fields = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "x-request-id": "req_0123",
        "x-ratelimit-limit-requests": "10000",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    lines = [f"HTTP/1.1 {status}", *(f"{n}: {v}" for n, v in fields.items() if v)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def whole(name: str, body: bytes, **more: str) -> Odd:
    """An answer that arrives, whatever it says."""
    return Odd(name, (head(body, **more), body), End.KEEP, body=body)


def every_cut() -> Iterator[Odd]:
    """A typical response, also chunked, that ends at each of its bytes."""
    body = encoded(CHAT)
    chunked = b"".join(
        b"%x\r\n%s\r\n" % (len(part), part)
        for part in (body[at : at + 100] for at in range(0, len(body), 100))
    )
    plain = head(body) + body
    in_chunks = (
        head(b"", content_length="", transfer_encoding="chunked")
        + chunked
        + b"0\r\n\r\n"
    )
    for name, response in (("plain", plain), ("chunked", in_chunks)):
        for at in range(len(response)):
            for end in (End.CLOSE, End.RESET):
                yield Odd(f"{name} cut at {at}", (response[:at],), end)


def drawn(draw: random.Random) -> Odd:
    """Any of all kinds."""
    return draw.choice(_KINDS)(draw)


def slow(draw: random.Random) -> Odd:
    """One that lasts longer than anybody waits."""
    body = encoded(CHAT)
    response = head(body) + body
    kind = draw.randrange(5)
    if kind == 0:
        return Odd("silent", (), End.HANG)
    if kind == 1:
        trickled = tuple(x for byte in response for x in (bytes([byte]), 0.05))
        return Odd("trickled head", trickled, End.HANG)
    if kind == 2:
        trickled = tuple(x for byte in body for x in (bytes([byte]), 0.05))
        return Odd("trickled body", (head(body), *trickled), End.HANG)
    if kind == 3:
        interim = (b"HTTP/1.1 102 Processing\r\n\r\n", 0.02) * 500
        return Odd("102 for ever", interim, End.HANG)
    at = draw.randrange(len(response))
    return Odd(f"hangs at {at}", (response[:at],), End.HANG)


def _misshapen(draw: random.Random) -> Odd:
    """Wrong types somewhere in the shape."""
    body = copy.deepcopy(CHAT)
    body["choices"][0]["message"]["tool_calls"] = None
    names = []
    for _ in range(draw.choice((1, 1, 2))):
        holder, key = draw.choice(list(_places(body)))
        name, holder[key] = draw.choice(_values(draw))
        names.append(f"{key}={name[:40]}")
    raw = encoded(body)
    if draw.random() < 0.3:
        raw = raw.replace(b'"stop"', draw.choice(_RAW), 1)
    return whole(f"misshapen {names}", raw)


_RAW = (b"NaN", b"-Infinity", b"1e999", b"9" * 5000, b'"\\ud800"', _DEEP, b'"\x80"')


_PLAIN: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, 2**70, -(2**70), 1e308, "", "5", "-5", "\0"),
    *([], {}, [[]], [None], [{}], {"a": None}),
)


def _values(draw: random.Random) -> list[tuple[str, Any]]:
    deep: Any = "bottom"
    for _ in range(draw.choice((150, 300, 450))):
        deep = [deep] if draw.random() < 0.5 else {"a": deep}
    return [
        *[(repr(value), value) for value in _PLAIN],
        ("nan", float("nan")),
        ("inf", float("inf")),
        ("half", "\ud83d"),
        ("other half", {"\udc00": "\udfff"}),
        ("escape", "\x1b]0;title\x07\x1b[31m\u202e"),
        ("deep", deep),
        ("long", "x" * 100_000),
        ("calls", [{"type": "function", "function": deep}]),
        ("nan call", [{"function": {"arguments": float("nan")}}]),
        ("parts", [{"type": "text", "text": "\udfff"}, 5, None]),
    ]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    keys: Any = value.keys() if isinstance(value, dict) else range(len(value))
    for key in list(keys):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


def _damaged_body(draw: random.Random) -> Odd:
    raw = bytearray(encoded(CHAT))
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(raw))
        kind = draw.randrange(3)
        if kind == 0:
            raw[at] = draw.randrange(256)
        elif kind == 1:
            del raw[at : at + draw.randint(1, 20)]
        else:
            raw[at:at] = draw.choice((b"\xff\xfe", b"\xed\xa0\x80", b"\0", *_RAW))
    return whole("damaged body", bytes(raw))


def _other_body(draw: random.Random) -> Odd:
    text = encoded(CHAT)
    body = draw.choice(
        (
            *(b"", b"{}", b"[]", b"null", b"5", b'""', b"\xef\xbb\xbf" + text),
            *(text.decode().encode("utf-16"), b"\n\n" + text, text + b"garbage"),
            *(text + text, b"data: " + text + b"\n\ndata: [DONE]\n\n", _DEEP),
            *(b"<html><title>Login\x1b[2J</title></html>", b'{"a":' * 5_000, b"\xff"),
            *(b"{" * 100_000, b"[" * 100_000, b"9" * 10_000, b'{"choices":[]}'),
        )
    )
    return whole(f"other body {body[:20]!r}", body)


def _error_inside(draw: random.Random) -> Odd:
    error = {"message": draw.choice(_values(draw))[1], "type": "server_error"}
    error["code"] = draw.choice(_values(draw))[1]
    body: Any = draw.choice(
        ({"error": error}, {"error": "no"}, {"object": "error", **error}, [error])
    )
    if draw.random() < 0.3 and isinstance(body, dict):
        body = {**CHAT, **body}
    response = encoded(body)
    return Odd("error inside 200", (head(response), response), is_generated=False)


def _status(draw: random.Random) -> Odd:
    code = draw.choice(CODES)
    error = {"error": {"message": draw.choice(_values(draw))[1], "code": None}}
    error["error"]["code"] = draw.choice(_values(draw))[1]
    body = draw.choice((encoded(error), encoded(CHAT), b"", b"<h1>no</h1>", b"null"))
    more = {}
    if draw.random() < 0.3:
        more["retry_after"] = draw.choice(_NUMBERS)
    return Odd(
        f"status {code}",
        (head(body, f"{code} Odd", **more), body),
        is_generated=False,
        may_stop=code in _STOPPING or bool(more) or code >= 300,
    )


_NUMBERS = ("NaN", "-1", "1e999", "9" * 400, "", "0", "Mon, 01 Jan 0000 00:00:00", "x")


def _odd_headers(draw: random.Random) -> Odd:
    body = encoded(CHAT)
    names = [
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-requests",
        "openai-processing-ms",
        "x-ratelimit-reset-requests",
        "x-ratelimit-limit-tokens",
        "x-request-id",
        "date",
        "x-ratelimit-remaining-tokens",
        "x-ratelimit-reset-tokens",
        "content-type",
        "server",
    ]
    values = (*_NUMBERS, "6m0s", "-5ms", "8.64s", "1" * 5_000, "\x80\xff", "[red]")
    more = {name: draw.choice(values) for name in draw.sample(names, 4)}
    # A server that allows next to nothing is believed, and waited for.
    return Odd(
        f"headers {more}"[:200],
        (head(body, **more), body),
        End.KEEP,
        body=body,
        may_stop=True,
    )


def _damaged_head(draw: random.Random) -> Odd:
    body = encoded(CHAT)
    raw = bytearray(head(body))
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(len(raw))
        if draw.random() < 0.5:
            raw[at] = draw.randrange(256)
        else:
            raw[at:at] = draw.choice((b"\r\n", b"\0", b"\x80", b" ", b":", b"\n\n"))
    return Odd("damaged head", (bytes(raw), body), draw.choice((End.CLOSE, End.RESET)))


def _much_head(draw: random.Random) -> Odd:
    body = encoded(CHAT)
    kind = draw.randrange(6)
    if kind == 0:
        bomb = b"".join(b"x-%d: %s\r\n" % (n, b"y" * 100) for n in range(20_000))
        raw = head(body).removesuffix(b"\r\n") + bomb + b"\r\n"
    elif kind == 1:
        raw = head(body, x_long="z" * 1_000_000)
    elif kind == 2:
        twice = b"x-request-id: other\r\ncontent-type: text/html\r\nretry-after: 1\r\n"
        raw = head(body).removesuffix(b"\r\n") + twice * draw.randint(1, 50) + b"\r\n"
    elif kind == 3:
        interim = draw.choice((b"100 Continue", b"102 Processing", b"103 Early Hints"))
        raw = b"HTTP/1.1 %s\r\nlink: <x>\r\n\r\n" % interim * draw.randint(1, 300)
        raw += head(body)
    elif kind == 4:
        raw = b"HTTP/1.1 " + b"2" * 200_000
    else:
        raw = draw.choice((b"HTTP/0.9 200\r\n", b"ICY 200 OK\r\n", b"\x16\x03\x01"))
        raw += b"\r\n"
    return Odd(f"much head {kind}", (raw, body))


def _length(draw: random.Random) -> Odd:
    body = encoded(CHAT)
    told = draw.choice(
        (
            *("0", "1", str(len(body) - 1), str(len(body) + 1), str(2**63), "9" * 100),
            *("-1", "abc", "1e3", "", f"{len(body)}, {len(body)}", f"{len(body)}, 3"),
        )
    )
    more = {"content_length": told}
    if draw.random() < 0.3:
        more["transfer_encoding"] = draw.choice(
            ("chunked", "gzip, chunked", "identity")
        )
    return Odd(f"length {more}", (head(body, **more), body))


def _chunks(draw: random.Random) -> Odd:
    body = encoded(CHAT)
    raw = bytearray(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
    sizes = (b"zz", b"-5", b"ffffffffffffffffff", b"0", b"", b"1;" + b"e" * 9_000)
    if draw.random() < 0.5:
        raw[: raw.index(b"\r")] = draw.choice(sizes)
    else:
        raw[draw.randrange(len(raw))] = draw.randrange(256)
    chunked = head(b"", content_length="", transfer_encoding="chunked")
    return Odd("chunked garbage", (chunked, bytes(raw)))


def _packed(draw: random.Random) -> Odd:
    text = encoded(CHAT)
    packed: Callable[[bytes], bytes] = draw.choice(
        (gzip.compress, zlib.compress, bytes)
    )
    body = packed(text)
    if draw.random() < 0.3:
        body = body[: draw.randrange(len(body))]
    name = draw.choice(("gzip", "deflate", "br", "zstd", "x-gzip", "gzip, gzip", "odd"))
    return Odd(
        f"packed {packed.__name__} as {name}", (head(body, content_encoding=name), body)
    )


def _reset(draw: random.Random) -> Odd:
    response = head(encoded(CHAT)) + encoded(CHAT)
    at = draw.choice((0, 1, 50, len(response) - 1, len(response)))
    end = draw.choice((End.CLOSE, End.RESET, End.DEAF))
    generated = end is not End.DEAF
    return Odd(f"{end} after {at}", (response[:at],), end, is_generated=generated)


_KINDS = (
    *(_misshapen, _misshapen, _misshapen, _damaged_body, _other_body, _error_inside),
    *(_status, _odd_headers, _damaged_head, _much_head, _length, _chunks, _packed),
    _reset,
)
