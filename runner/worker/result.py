"""The object that an exported line carries beside the item.

Floor: the work. Pure.
"""

import json
from typing import Any

from runner.checkpoint.entries import Attempt, Outcome
from runner.checkpoint.history import History
from runner.records import Answer, JsonObject, OutcomeState


def result_json(
    outcome: Outcome,
    response: Any,
    answer: Answer | None,
    attempt: Attempt | None,
    past: History,
) -> bytes:
    """The object that an exported line carries, as ASCII JSON.

    ASCII, because an answer may hold a lone surrogate, which UTF-8 cannot.
    """
    cost_usd = past.cost_usd
    result: JsonObject = {
        "response": response,
        "valid": outcome.state is OutcomeState.VALID,
        "requests": outcome.requests,
        "reason": outcome.reason,
        "model": answer and answer.model,
        "finish_reason": answer and answer.finish_reason,
        "usage": past.usage and past.usage.to_json(),
        "cost_usd": None if cost_usd is None else format(cost_usd, "f"),
        "request_id": attempt and attempt.request_id,
    }
    return json.dumps(result, separators=(",", ":")).encode("ascii")
