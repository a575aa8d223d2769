"""What does JSON look like on the wire, and a whole reply as bytes?

Owns the encoding of bodies. UTF-8 unescaped, as OpenAI sends it, unless the text
holds a lone surrogate, which only an escape can carry.

Floor: simulator, bottom. Knows nobody.
"""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

JsonObject = dict[str, Any]

_utf8 = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_escaped = json.JSONEncoder(separators=(",", ":")).encode


def encode(document: Any) -> bytes:
    """A JSON document as the bytes of a body."""
    try:
        return _utf8(document).encode()
    except UnicodeEncodeError:
        return _escaped(document).encode()


def compact(document: Any) -> str:
    """A JSON document as text for an answer: readable, one line."""
    return json.dumps(document, ensure_ascii=False)


def whole_reply(status: int, headers: Mapping[str, str], body: bytes) -> bytes:
    """Status line, headers and body, for replies that are sent byte by byte."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"content-length: {len(body)}", "connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body
