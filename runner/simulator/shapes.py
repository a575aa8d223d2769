"""Which document does an endpoint wrap its answer in?

Owns the bodies of chat completions, responses and embeddings, usage included, as
OpenAI's API reference draws them.

Floor: simulator. Knows answers, asked, vectors.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from runner.simulator.answers import Said
from runner.simulator.asked import CHAT, EMBEDDINGS, Call
from runner.simulator.vectors import embedding
from runner.simulator.wire import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one answer, as the ledger counts them."""

    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    reasoning_tokens: int

    def to_json(self) -> dict[str, int]:
        """The ledger's `usage`."""
        return asdict(self)


def answer_body(
    call: Call, said: Sequence[Said], usage: Usage, identity: str
) -> JsonObject:
    """The body of a 200 to a chat or responses request."""
    if call.endpoint == CHAT:
        return _chat(call, said, usage, identity)
    return _response(call, said[0], usage, identity)


def embeddings_body(call: Call, usage: Usage, *, leave_out_last: bool) -> JsonObject:
    """The body of a 200 to an embeddings request; invalid when one is left out."""
    inputs = call.inputs[:-1] if leave_out_last else call.inputs
    return {
        "object": "list",
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": embedding(text, call.body),
            }
            for index, text in enumerate(inputs)
        ],
        "model": call.model,
        "usage": {
            "prompt_tokens": usage.input_tokens,
            "total_tokens": usage.input_tokens,
        },
    }


def usage_of(call: Call, said: Sequence[Said], cached_tokens: int) -> Usage:
    """The tokens of all copies of an answer."""
    is_embedding = call.endpoint == EMBEDDINGS
    return Usage(
        input_tokens=call.input_tokens,
        cached_input_tokens=cached_tokens,
        output_tokens=0 if is_embedding else sum(one.output_tokens for one in said),
        reasoning_tokens=sum(one.reasoning_tokens for one in said),
    )


def _chat(call: Call, said: Sequence[Said], usage: Usage, identity: str) -> JsonObject:
    return {
        "id": f"chatcmpl-{identity}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": call.model,
        "choices": [
            {
                "index": index,
                "message": _message(one, identity),
                "logprobs": None,
                "finish_reason": one.finish,
            }
            for index, one in enumerate(said)
        ],
        "usage": {
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
            "total_tokens": usage.input_tokens + usage.output_tokens,
            "prompt_tokens_details": {
                "cached_tokens": usage.cached_input_tokens,
                "audio_tokens": 0,
            },
            "completion_tokens_details": {
                "reasoning_tokens": usage.reasoning_tokens,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        "service_tier": "default",
        "system_fingerprint": "fp_simulator",
    }


def _message(said: Said, identity: str) -> JsonObject:
    message: JsonObject = {
        "role": "assistant",
        "content": said.text,
        "refusal": said.refusal,
        "annotations": [],
    }
    if said.tool:
        function = {"name": said.tool.name, "arguments": said.tool.arguments}
        message["tool_calls"] = [
            {"id": f"call_{identity}", "type": "function", "function": function}
        ]
    return message


def _response(call: Call, said: Said, usage: Usage, identity: str) -> JsonObject:
    reason = {"length": "max_output_tokens"}.get(said.finish, said.finish)
    complete = said.finish in ("stop", "tool_calls")
    body = call.body
    return {
        "id": f"resp_{identity}",
        "object": "response",
        "created_at": int(time.time()),
        "status": "completed" if complete else "incomplete",
        "background": False,
        "error": None,
        "incomplete_details": None if complete else {"reason": reason},
        "instructions": body.get("instructions"),
        "max_output_tokens": call.output_limit,
        "metadata": body.get("metadata") or {},
        "model": call.model,
        "output": _output(said, identity, complete=complete),
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": body.get("store", True),
        "temperature": body.get("temperature", 1.0),
        "text": body.get("text") or {"format": {"type": "text"}},
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools") or [],
        "top_p": body.get("top_p", 1.0),
        "truncation": "disabled",
        "usage": {
            "input_tokens": usage.input_tokens,
            "input_tokens_details": {"cached_tokens": usage.cached_input_tokens},
            "output_tokens": usage.output_tokens,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
            "total_tokens": usage.input_tokens + usage.output_tokens,
        },
        "user": None,
    }


def _output(said: Said, identity: str, *, complete: bool) -> list[JsonObject]:
    output: list[JsonObject] = []
    if said.reasoning_tokens:
        output.append({"id": f"rs_{identity}", "type": "reasoning", "summary": []})
    if said.tool:
        output.append(
            {
                "id": f"fc_{identity}",
                "type": "function_call",
                "status": "completed",
                "call_id": f"call_{identity}",
                "name": said.tool.name,
                "arguments": said.tool.arguments,
            }
        )
    content = _response_content(said)
    if content:
        output.append(
            {
                "id": f"msg_{identity}",
                "type": "message",
                "status": "completed" if complete else "incomplete",
                "role": "assistant",
                "content": content,
            }
        )
    return output


def _response_content(said: Said) -> list[JsonObject]:
    if said.refusal is not None:
        return [{"type": "refusal", "refusal": said.refusal}]
    if said.text:
        return [
            {
                "type": "output_text",
                "text": said.text,
                "annotations": [],
                "logprobs": [],
            }
        ]
    return []
