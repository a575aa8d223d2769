"""How large is a request: what pacing and the dollar cap need to know of it.

Owns the counting of bytes, characters and limits in a body, and the question
whether the body bounds its own price. Must not know prices.

Floor: doors and rules.
"""

from collections.abc import Iterator
from typing import Any, TypeGuard

from runner.errors import TaskError
from runner.records import Endpoint, JsonObject, Request
from runner.task.plainjson import NotJson, compact, utf8

_LIMITS = {
    Endpoint.CHAT: ("max_completion_tokens", "max_tokens"),
    Endpoint.RESPONSES: ("max_output_tokens",),
    Endpoint.OTHER: ("max_tokens",),
}
"""Names of a limit of output tokens, the one to be recommended first."""
_TEXT_PARTS = {"text", "input_text", "output_text", "refusal", "summary_text"}
_TEXT_ITEMS = {
    "message",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
}
_OWN_TOOLS = {"function", "custom"}
"""Run by the caller; every other kind is run by the server, on its own tokens."""
_OUTSIDE = (
    "previous_response_id",
    "conversation",
    "web_search_options",
    "plugins",
    "audio",
    "models",  # OpenRouter: others to fall back to, at their own prices
    "search_parameters",  # xAI: billed by source
    "enable_search",  # DashScope: likewise
)
"""Body keys that add input the body does not hold, or output that costs more."""
_PROMPT_KEYS = ("messages", "input", "instructions", "prompt")
_TEXT_KEYS = (
    "content",
    "text",
    "refusal",
    "arguments",
    "output",
    "function",
    "tool_calls",
)
_CHARACTERS_PER_TOKEN = 4
"""For inputs given as token numbers: the provider's own estimate, backwards."""


def measured(endpoint: Endpoint, path: str, body: JsonObject) -> Request:
    """The body as a Request: as it is sent, with its sizes.

    Raises:
        TaskError: when the body cannot be sent as UTF-8 JSON.
    """
    try:
        content = utf8(compact(body))
    except NotJson as error:
        raise TaskError(f"the request cannot be sent: {error}") from error
    return Request(
        endpoint=endpoint,
        path=path,
        body=body,
        model=body.get("model", ""),
        content=content,
        text_characters=_text_characters(body),
        output_limit_tokens=_output_limit_tokens(endpoint, body),
        is_bounded=_is_bounded(endpoint, path, body),
    )


def input_count(body: JsonObject) -> int:
    """How many vectors an embeddings body asks for.

    A list of numbers is one input, given as tokens (API reference, `input`).
    """
    given = body.get("input")
    if isinstance(given, list) and not any(_is_number(value) for value in given):
        return len(given)
    return 1


def _text_characters(body: JsonObject) -> int:
    """Characters of the prompt's text; no recursion, whatever the depth."""
    waiting = [body[key] for key in _PROMPT_KEYS if key in body]
    characters = 0
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            characters += len(value)
        elif isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, dict):
            waiting.extend(value[key] for key in _TEXT_KEYS if key in value)
        elif _is_number(value):
            characters += _CHARACTERS_PER_TOKEN
    return characters


def output_limit_name(endpoint: Endpoint) -> str:
    """How a body for that endpoint bounds its answer, as its newest models want it."""
    return _LIMITS[endpoint][0]


def _output_limit_tokens(endpoint: Endpoint, body: JsonObject) -> int | None:
    """The larger one where a body has both names: servers differ in which wins."""
    if endpoint is Endpoint.EMBEDDINGS:
        return 0
    limits = [body.get(name) for name in _LIMITS[endpoint]]
    found = [limit for limit in limits if _is_number(limit) and limit > 0]
    return max(found, default=None)


def _is_bounded(endpoint: Endpoint, path: str, body: JsonObject) -> bool:
    if endpoint is Endpoint.OTHER and path != "/completions":
        return False  # what counts as a token there is unknown
    if any(body.get(name) for name in _OUTSIDE):
        return False
    if endpoint is Endpoint.RESPONSES and body.get("prompt") is not None:
        return False  # a prompt stored at the server
    return all(_is_own_tool(tool) for tool in _dicts(body.get("tools"))) and all(
        _is_text(value)
        for key in ("messages", "input")
        for value in _listed(body.get(key))
    )


def _is_own_tool(tool: JsonObject) -> bool:
    return tool.get("type", "function") in _OWN_TOOLS


def _is_text(value: Any) -> bool:
    """One message, input item or embeddings input holds nothing but text."""
    if not isinstance(value, dict):
        return True
    if value.get("type", "message") not in _TEXT_ITEMS or value.get("audio"):
        return False
    parts = [*_dicts(value.get("content")), *_dicts(value.get("output"))]
    is_message = any(key in value for key in ("content", "output", "role", "type"))
    return is_message and all(part.get("type") in _TEXT_PARTS for part in parts)


def _dicts(value: Any) -> Iterator[JsonObject]:
    return (part for part in _listed(value) if isinstance(part, dict))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _is_number(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
