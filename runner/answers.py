"""What did the server say? The raw body of a 2xx, read as an Answer.

Owns the shapes of the three endpoints and of `usage`. Trusts nothing: any bytes
give an Answer or None, never an exception. Knows neither prices nor verdicts.

Floor: reading answers. Below client. Knows records.
"""

import json
from collections.abc import Callable
from math import isfinite
from typing import Any

from runner.records import Answer, Endpoint, JsonObject, Usage

_MOST_TOKENS = 2**53
"""More than this in one answer is nonsense, and would not survive a float."""

_HEAD_BYTES = 64
_BEFORE_JSON = b" \t\r\n\xef\xbb\xbf"
_JSON_BEGINS = (b"{", b"[")

_FINISH_REASONS = {
    "completed": "stop",
    "max_output_tokens": "length",
    "content_filter": "content_filter",
}
"""Responses API `status` and `incomplete_details.reason`, in chat's words."""

_TOOL_CALLS = frozenset({"function_call", "custom_tool_call"})
"""Output items of the Responses API that wait for the caller."""


def parse_body(body: bytes) -> JsonObject | None:
    """Return the body's JSON object; None when it is anything else.

    Lone surrogates stay as they are, escaped or (as some Python servers write
    them) raw. Other bytes that are no UTF-8 become U+FFFD, and NaN and Infinity are
    let through: a paid answer is not thrown away for them, but whoever writes it
    out as strict JSON must expect them.
    """
    parsed = parse_json(body)
    return parsed if isinstance(parsed, dict) else None


def parse_json(body: bytes) -> Any:
    """Return the body's JSON value; None when it is not JSON."""
    try:
        return json.loads(_decoded(body).lstrip("\ufeff"))
    except (ValueError, RecursionError):
        # ValueError: not JSON, or a number of over 4,300 digits.
        return None


def _decoded(body: bytes) -> str:
    try:
        return body.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        # A megabyte of an image is no answer; replacing every byte of it takes long.
        is_text = body[:_HEAD_BYTES].lstrip(_BEFORE_JSON)[:1] in _JSON_BEGINS
        return body.decode("utf-8", "replace") if is_text else ""


def read_answer(
    endpoint: Endpoint, body: bytes, parsed: JsonObject | None = None
) -> Answer | None:
    """Read the body of a 2xx; None when it has not the shape of `endpoint`.

    Shapes: OpenAI's API reference, and what compatible servers were seen to send.
    One without the shape that says what it used is an answer with nothing in it.

    Args:
        endpoint: Where it was asked.
        body: As received.
        parsed: What `parse_body` makes of it, where that is known already.
    """
    if parsed is None and (parsed := parse_body(body)) is None:
        return None
    return _READERS[endpoint](parsed) or _bill(parsed)


def read_usage(body: JsonObject) -> Usage | None:
    """Read `usage` in chat's or the Responses API's words.

    None when it is missing or any number in it is not a count: an unknown cost is
    not a cost of 0. More cached tokens than input tokens is a server's mistake
    and counts as all of them cached. Servers that leave reasoning out of their
    output (xAI does, and Gemini, which tells of it nowhere else) have it added: it
    is billed, and their total gives it away.
    """
    usage = body.get("usage")
    if not isinstance(usage, dict):
        return None
    try:
        return _counted(usage)
    except ValueError:
        return None


def _counted(usage: JsonObject) -> Usage:
    asked = _count(usage, "prompt_tokens", "input_tokens")
    total = _count(usage, "total_tokens")
    if asked is None:
        raise ValueError("no input tokens")
    output = _count(usage, "completion_tokens", "output_tokens")
    if output is None:
        if total is None:
            raise ValueError("no output tokens")
        output = max(0, total - asked)
    cached = _detail(usage, ("prompt", "input"), "cached_tokens")
    reasoning = _detail(usage, ("completion", "output"), "reasoning_tokens")
    hidden = max(0, (total or 0) - asked - output)
    output += hidden
    reasoning = max(reasoning, hidden)
    return Usage(
        input_tokens=asked,
        cached_input_tokens=min(cached, asked),
        output_tokens=output,
        reasoning_tokens=min(reasoning, output),
    )


def _detail(usage: JsonObject, sides: tuple[str, str], name: str) -> int:
    for side in sides:
        details = usage.get(f"{side}_tokens_details")
        if isinstance(details, dict):
            return _count(details, name) or 0
    return 0


def _count(counts: JsonObject, *names: str) -> int | None:
    """First count of that name; ValueError when it is not a count."""
    value = next((counts[n] for n in names if counts.get(n) is not None), None)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("not a number")  # noqa: TRY004 - one error for all nonsense
    if not 0 <= value <= _MOST_TOKENS or value != int(value):
        raise ValueError("not a count")
    return int(value)


def _chat(body: JsonObject) -> Answer | None:
    choice = _first(body.get("choices"))
    message = choice.get("message") if choice else None
    if choice is None or not isinstance(message, dict):
        return None
    text = _joined(message.get("content"))
    return Answer(
        response=text or _chat_calls(message) or text,
        finish_reason=_text(choice.get("finish_reason")),
        refusal=_text(message.get("refusal")),
        model=_text(body.get("model")),
        usage=read_usage(body),
        body=body,
    )


def _first(values: Any) -> JsonObject | None:
    if isinstance(values, list) and values and isinstance(values[0], dict):
        return values[0]
    return None


def _joined(content: Any) -> str | None:
    """Text of a message: a string, or its text parts put together."""
    if not isinstance(content, list):
        return _text(content)
    parts = [part.get("text") for part in content if isinstance(part, dict)]
    texts = [part for part in parts if isinstance(part, str)]
    return "".join(texts) if texts else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _chat_calls(message: JsonObject) -> list[Any] | None:
    calls = message.get("tool_calls")
    if isinstance(calls, list) and calls:
        return calls
    legacy = message.get("function_call")
    if isinstance(legacy, dict):
        return [{"type": "function", "function": legacy}]
    return None


def _responses(body: JsonObject) -> Answer | None:
    output = body.get("output")
    if not isinstance(output, list):
        return None
    items = [item for item in output if isinstance(item, dict)]
    text = _parts(items, "output_text", "text")
    calls = [item for item in items if _text(item.get("type")) in _TOOL_CALLS]
    return Answer(
        response=text or calls or text,
        finish_reason=_responses_finish(body),
        refusal=_parts(items, "refusal", "refusal"),
        model=_text(body.get("model")),
        usage=read_usage(body),
        body=body,
    )


def _parts(items: list[JsonObject], kind: str, name: str) -> str | None:
    texts = [
        part[name]
        for item in items
        if isinstance(item.get("content"), list)
        for part in item["content"]
        if isinstance(part, dict)
        and part.get("type") == kind
        and isinstance(part.get(name), str)
    ]
    return "".join(texts) if texts else None


def _responses_finish(body: JsonObject) -> str | None:
    status = _text(body.get("status"))
    details = body.get("incomplete_details")
    reason = _text(details.get("reason")) if isinstance(details, dict) else None
    said = reason or status
    return None if said is None else _FINISH_REASONS.get(said, said)


def _embeddings(body: JsonObject) -> Answer | None:
    data = body.get("data")
    if not isinstance(data, list) or not data:
        return None
    if not all(isinstance(entry, dict) for entry in data):
        return None
    vectors = [entry.get("embedding") for entry in sorted(data, key=_index)]
    if not all(_is_vector(vector) for vector in vectors):
        return None
    return Answer(
        response=vectors[0] if len(vectors) == 1 else vectors,
        finish_reason=None,
        refusal=None,
        model=_text(body.get("model")),
        usage=read_usage(body),
        body=body,
    )


def _index(entry: JsonObject) -> float:
    index = entry.get("index")
    # A sort is stable: without indices the order is the server's.
    return index if isinstance(index, int) else 0


def _is_vector(vector: Any) -> bool:
    """Whether it is finite numbers, or base64 as `encoding_format` may ask for."""
    if isinstance(vector, str):
        return bool(vector)
    if not isinstance(vector, list) or not vector:
        return False
    try:
        return all(map(isfinite, vector))
    except (TypeError, OverflowError):
        return False


def _other(body: JsonObject) -> Answer:
    return Answer(
        response=body,
        finish_reason=None,
        refusal=None,
        model=_text(body.get("model")),
        usage=read_usage(body),
        body=body,
    )


def _bill(body: JsonObject) -> Answer | None:
    usage = read_usage(body)
    if usage is None:
        return None
    return Answer(
        response=None,
        finish_reason=None,
        refusal=None,
        model=_text(body.get("model")),
        usage=usage,
        body=body,
    )


_READERS: dict[Endpoint, Callable[[JsonObject], Answer | None]] = {
    Endpoint.CHAT: _chat,
    Endpoint.RESPONSES: _responses,
    Endpoint.EMBEDDINGS: _embeddings,
    Endpoint.OTHER: _other,
}
