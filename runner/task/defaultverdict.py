"""Is this an answer at all, before any rule of the user's?

Owns the default verdict per endpoint. Cut, filtered and refused answers are
not asked for again: the same question would be paid for to end the same way.

Floor: doors and rules.
"""

import base64
import binascii
import math
import struct
from collections.abc import Callable
from typing import Any

from runner.records import Answer, Endpoint, Verdict
from runner.task.plainjson import one_line

CUT_OFF = "cut off"
EMPTY_ANSWER = "empty answer"
NO_VECTORS = "no vectors"
UNREADABLE_ANSWER = "unreadable answer"
"""How these reasons begin: who advises what to do about them goes by it."""
_CUT = {"length", "max_tokens", "max_output_tokens", "model_length"}
_BROKEN_OFF = {
    "error": "OpenRouter",
    "abort": "vLLM, SGLang",
    "insufficient_system_resource": "DeepSeek",
}
"""finish_reason → whose: the server gave up half-way; another try may end well."""
_UNFINISHED = ("incomplete", "failed", "cancelled", "queued", "in_progress")
_FLOAT_BYTES = 4
"""`encoding_format: base64` is little-endian float32 (API reference)."""


def default_verdict(
    endpoint: Endpoint,
    answer: Answer,
    *,
    input_count: Callable[[], int],
    reask_truncated: bool,
) -> Verdict | None:
    """None when there is an answer to judge.

    Args:
        endpoint: whose rules apply.
        answer: what came.
        input_count: how many vectors were asked for (embeddings only).
        reask_truncated: whether cut, filtered and refused ones are worth
            another request.
    """
    if endpoint is Endpoint.OTHER:
        return None
    if endpoint is Endpoint.EMBEDDINGS:
        reason = _vector_problem(answer.response, input_count())
        return Verdict(valid=False, reason=reason) if reason else None
    if answer.finish_reason in _BROKEN_OFF:
        reason = f"broken off by the server (finish_reason {answer.finish_reason})"
        return Verdict(valid=False, reason=reason)
    ending = _ending(answer)
    if ending:
        return Verdict(valid=False, reason=ending, ask_again=reask_truncated)
    reason = _text_problem(answer)
    return Verdict(valid=False, reason=reason) if reason else None


def _ending(answer: Answer) -> str | None:
    """Why the answer ended too early, in words."""
    reason = answer.finish_reason
    if reason in _CUT:
        return f"{CUT_OFF} at the output limit (finish_reason {reason})"
    if reason == "content_filter":
        return "stopped by the content filter"
    if answer.refusal:
        return one_line(f"refused: {answer.refusal}")
    return None


def _text_problem(answer: Answer) -> str | None:
    status = answer.body.get("status")  # only the Responses API has one
    if status in _UNFINISHED:
        return one_line(f"not finished (status {status}, {answer.finish_reason})")
    response = answer.response
    is_blank = isinstance(response, str) and not response.strip()
    return EMPTY_ANSWER if is_blank or not response else None


def _vector_problem(response: Any, wanted: int) -> str | None:
    vectors = _vectors(response)
    if vectors is None:
        return NO_VECTORS
    if len(vectors) != wanted:
        return f"{len(vectors)} vectors for {wanted} inputs"
    for position, vector in enumerate(vectors):
        if not _is_finite(vector):
            return f"vector {position} holds no finite numbers"
    return None


def _vectors(response: Any) -> list[Any] | None:
    """One vector may come bare, several come in a list."""
    if isinstance(response, str):
        return [response]
    if not isinstance(response, list) or not response:
        return None
    is_bare = not isinstance(response[0], list | str)
    return [response] if is_bare else response


def _is_finite(vector: Any) -> bool:
    if isinstance(vector, str):
        vector = _decoded(vector)
    return (
        isinstance(vector, list)
        and bool(vector)
        and all(_is_finite_number(number) for number in vector)
    )


def _is_finite_number(number: Any) -> bool:
    is_number = isinstance(number, int | float) and not isinstance(number, bool)
    return is_number and (isinstance(number, int) or math.isfinite(number))


def _decoded(vector: str) -> list[float]:
    try:
        raw = base64.b64decode(vector, validate=True)
    except (binascii.Error, ValueError):
        return []
    count, rest = divmod(len(raw), _FLOAT_BYTES)
    return [] if rest else list(struct.unpack(f"<{count}f", raw))
