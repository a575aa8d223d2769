"""What does this request ask?

Owns reading a body of the three endpoints: the prompt's text and digest, the
output limit, and the 400s of a body that the API does not accept.

Floor: simulator. Knows refusals, prices and wire.
"""

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from runner.simulator.prices import is_reasoning
from runner.simulator.refusals import Rejected, rejected
from runner.simulator.wire import JsonObject

CHAT = "chat"
RESPONSES = "responses"
EMBEDDINGS = "embeddings"
ENDPOINTS = {
    "/v1/chat/completions": CHAT,
    "/v1/responses": RESPONSES,
    "/v1/embeddings": EMBEDDINGS,
}
_PROMPT_FIELDS = {
    CHAT: ("messages",),
    RESPONSES: ("instructions", "input"),
    EMBEDDINGS: ("input",),
}
_LIMIT_FIELDS = {
    CHAT: ("max_completion_tokens", "max_tokens"),
    RESPONSES: ("max_output_tokens",),
    EMBEDDINGS: (),
}
_MOST_COPIES = 128
_MOST_DIMENSIONS = 3072


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request body, read."""

    endpoint: str
    path: str
    model: str
    body: JsonObject
    text: str
    """All of the prompt's text, system message included."""
    last_user: str
    inputs: tuple[str, ...]
    """The texts to embed; empty for other endpoints."""
    digest: bytes
    """SHA-256 of the prompt, whatever its other parameters."""
    input_tokens: int
    output_limit: int | None
    copies: int

    @property
    def charge_tokens(self) -> int:
        """What a tokens-per-minute limit charges at admission.

        OpenAI's rate-limits guide: the larger of the output limit and the
        estimate from the request's characters.
        """
        return max((self.output_limit or 0) * self.copies, self.input_tokens)


def read_call(path: str, raw: bytes) -> Call:
    """Read a body sent to one of ENDPOINTS.

    Raises:
        Rejected: the API answers such a body with 400.
    """
    endpoint, body = ENDPOINTS[path], _object(raw)
    _check(endpoint, body)
    prompts = [body.get(name) for name in _PROMPT_FIELDS[endpoint]]
    texts = list(_texts(prompts))
    inputs = _inputs(body["input"]) if endpoint == EMBEDDINGS else ()
    text = "\n".join(inputs or texts)
    return Call(
        endpoint=endpoint,
        path=path,
        model=body["model"],
        body=body,
        text=text,
        last_user=_last_user(body.get("messages", body.get("input"))),
        inputs=inputs,
        digest=hashlib.sha256(json.dumps(prompts).encode()).digest(),
        input_tokens=tokens_in(text),
        output_limit=_output_limit(endpoint, body),
        copies=body.get("n") or 1,
    )


def tokens_in(text: str) -> int:
    """How many tokens this simulator says a text has: characters / 4."""
    return math.ceil(len(text) / 4)


def _object(raw: bytes) -> JsonObject:
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        _reject(
            "We could not parse the JSON body of your request. (HINT: This likely means"
            " you aren't using your HTTP library correctly. The OpenAI API expects a"
            " JSON payload, but what was sent was not valid JSON.)"
        )
    return body


def _check(endpoint: str, body: JsonObject) -> None:
    if not isinstance(body.get("model"), str) or not body["model"]:
        _reject("you must provide a model parameter")
    needed = _PROMPT_FIELDS[endpoint][-1]
    if not body.get(needed):
        code = "missing_required_parameter"
        _reject(f"Missing required parameter: '{needed}'.", code, needed)
    if not isinstance(body[needed], list if endpoint == CHAT else (list, str)):
        _reject(f"Invalid type for '{needed}'.", "invalid_type", needed)
    if body.get("stream"):
        _reject("This server does not stream.", "unsupported_value", "stream")
    copies = body.get("n")
    if copies is not None and not _is_count(copies, _MOST_COPIES):
        _reject("Invalid value for 'n'.", "invalid_value", "n")
    for name in _LIMIT_FIELDS[endpoint]:
        if body.get(name) is not None and not _is_count(body[name]):
            _reject(f"Invalid value for '{name}'.", "invalid_value", name)
    dimensions = body.get("dimensions")
    if dimensions is not None and not _is_count(dimensions, _MOST_DIMENSIONS):
        _reject("Invalid value for 'dimensions'.", "invalid_value", "dimensions")
    if endpoint != EMBEDDINGS and is_reasoning(body["model"]):
        _check_reasoning(body)


def _check_reasoning(body: JsonObject) -> None:
    model = body["model"]
    if body.get("max_tokens") is not None:
        _reject(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use"
            " 'max_completion_tokens' instead.",
            "unsupported_parameter",
            "max_tokens",
        )
    if body.get("temperature") not in (None, 1):
        _reject(
            f"Unsupported value: 'temperature' does not support {body['temperature']}"
            f" with {model}. Only the default (1) value is supported.",
            "unsupported_value",
            "temperature",
        )


def _is_count(value: Any, most: float = math.inf) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most


def _reject(
    message: str, code: str | None = None, param: str | None = None
) -> NoReturn:
    raise Rejected(rejected(message, code, param))


def _texts(value: Any) -> Iterator[str]:
    """Every text in messages, input items and content parts, in order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, dict):
        yield from _texts(value.get("content"))
        if isinstance(value.get("text"), str):
            yield value["text"]


def _inputs(value: Any) -> tuple[str, ...]:
    """The texts to embed; token numbers stand for four characters each."""
    if isinstance(value, str):
        return (value,)
    if value and all(isinstance(token, int) for token in value):
        return (_untokenized(value),)
    return tuple(
        item if isinstance(item, str) else _untokenized(item) for item in value
    )


def _untokenized(tokens: Any) -> str:
    if not isinstance(tokens, list):
        _reject("Invalid type for 'input'.", "invalid_type", "input")
    return "".join(f"{token!s:>4.4}" for token in tokens)


def _last_user(messages: Any) -> str:
    if isinstance(messages, str):
        return messages
    for message in reversed(messages or []):
        if isinstance(message, dict) and message.get("role") == "user":
            return "".join(_texts(message))
    return ""


def _output_limit(endpoint: str, body: JsonObject) -> int | None:
    for name in _LIMIT_FIELDS[endpoint]:
        if body.get(name) is not None:
            return int(body[name])
    return None
