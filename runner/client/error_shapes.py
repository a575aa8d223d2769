"""What does an error body say? Many servers' shapes, read as one.

OpenAI nests an object under `error`; OpenRouter puts a number into its `code`;
Gemini wraps it in a list; mocks and older Ollama send a string; FastAPI says
`detail`; vLLM was flat; a proxy in between sends a page.

Floor: doors and rules. Knows answers.
"""

import re
from dataclasses import dataclass
from typing import Any

from runner.answers import parse_json
from runner.records import JsonObject

_PAGE_CHARACTERS = 2_000
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<(script|style).*?</\1>|<[^>]*>", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorBody:
    """An error as its server words it."""

    message: str
    code: str | None = None
    type: str | None = None
    status: int | None = None
    """An HTTP status inside the body (OpenRouter, vLLM, Gemini)."""
    is_provider: bool = False
    """Shaped as an API's error; a portal's or proxy's page is not."""


def read_error(body: bytes) -> ErrorBody:
    """Read the body of an error; never raises."""
    parsed = parse_json(body)
    if isinstance(parsed, list) and len(parsed) == 1:
        parsed = parsed[0]
    if not isinstance(parsed, dict):
        return ErrorBody(message=_page(body))
    detail = parsed.get("detail") or parsed.get("message")
    terse = _terse(parsed, detail) if detail else None
    return _carried(parsed) or terse or ErrorBody(message=_page(body))


def error_in_answer(parsed: JsonObject | None) -> ErrorBody | None:
    """Return the error a JSON object carries; None when it carries none.

    An empty `error` is none: some servers send it with answers, as "", {} or false,
    gateways in Go as an object of empty fields ({"message": "", "code": null}).
    """
    if parsed is None:
        return None
    error = parsed.get("error")
    if isinstance(error, dict) and not any(error.values()):
        return None
    return _carried(parsed)


def _carried(parsed: JsonObject) -> ErrorBody | None:
    error = parsed.get("error")
    if isinstance(error, dict) and error:
        return _nested(error)
    if parsed.get("object") == "error":
        return _nested(parsed)
    return _terse(parsed, error) if error else None


def _terse(parsed: JsonObject, words: Any) -> ErrorBody:
    # One key alone is an API's terse error; several ("timestamp", "path" ...)
    # are a web framework's, which may as well stand in a gateway.
    is_provider = len(parsed) == 1 and "message" not in parsed
    return ErrorBody(message=_words(words), is_provider=is_provider)


def _nested(error: JsonObject) -> ErrorBody:
    code = error.get("code")
    number = _http_status(code)
    return ErrorBody(
        message=_words(error.get("message") or error.get("status") or error),
        code=str(code) if code is not None and number is None else None,
        type=error["type"] if isinstance(error.get("type"), str) else None,
        status=number,
        is_provider="message" in error,
    )


def _http_status(code: Any) -> int | None:
    if isinstance(code, str) and re.fullmatch("[1-5][0-9]{2}", code):
        code = int(code)
    is_status = isinstance(code, int) and 100 <= code <= 599  # noqa: PLR2004 - HTTP
    return code if is_status else None


def _words(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)[:_PAGE_CHARACTERS]


def _page(body: bytes) -> str:
    """Return the title of a page, or its text."""
    page = body[:_PAGE_CHARACTERS].decode("utf-8", "replace")
    title = _TITLE.search(page)
    return " ".join((title[1] if title else _TAG.sub(" ", page)).split())
