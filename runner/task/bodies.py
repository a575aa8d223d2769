"""What a request body looks like at each endpoint.

Owns where prompt, system text, parameters and the answer's schema go. Must not
know where the prompt came from.

Floor: doors and rules.
"""

from dataclasses import dataclass
from typing import Any

from runner.errors import TaskError
from runner.records import PATHS, Endpoint, JsonObject, Request
from runner.task.measure import measured
from runner.task.plainjson import NotJson, frozen_copy, quoted, type_name

Prompt = str | list[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyShape:
    """Everything of a body that is the same for all items."""

    endpoint: Endpoint
    model: str
    params: JsonObject
    answer_format: JsonObject | None = None
    """`{"name", "strict", "schema"}`, where answers must follow a schema."""

    def request(self, prompt: Prompt, system: str | None, own: JsonObject) -> Request:
        """The request for one prompt; `own` parameters win over the run's.

        Raises:
            TaskError: two system texts, two answer formats, text that is not
                Unicode.
        """
        params = {**self.params, **own}
        question = _QUESTIONS[self.endpoint](prompt, system)
        if self.answer_format:
            params = _FORMATS[self.endpoint](params, self.answer_format)
        body = {"model": self.model, **question, **params}
        return measured(self.endpoint, PATHS[self.endpoint], body)


def checked_prompt(prompt: Any, endpoint: Endpoint, source: str) -> Prompt:
    """A prompt a body can hold; lists are copied, for the user may reuse theirs.

    Text for every endpoint; a list of messages for chat and responses, a list
    of texts for embeddings.

    Raises:
        TaskError: naming the type or the message that is wrong.
    """
    if isinstance(prompt, str):
        return str(prompt)
    if not isinstance(prompt, list):
        raise TaskError(
            f"{source} returned {type_name(prompt)}, not {_WANTED[endpoint]}"
        )
    if not prompt:
        raise TaskError(f"{source} returned an empty list")
    for position, part in enumerate(prompt):
        problem = _problem(part, endpoint)
        if problem:
            raise TaskError(f"{source}: element {position} of the list {problem}")
    try:
        return list(frozen_copy(prompt))
    except NotJson as error:
        raise TaskError(f"{source} returned what is not JSON: {error}") from error


def _problem(part: Any, endpoint: Endpoint) -> str | None:
    """What is wrong with one element, lightly: the server knows its own rules."""
    if endpoint is Endpoint.EMBEDDINGS:
        wrong = not isinstance(part, str)
        return f"is {type_name(part)}, not a text" if wrong else None
    if not isinstance(part, dict):
        return f"is {type_name(part)}, not a message (a dict)"
    if endpoint is Endpoint.RESPONSES and isinstance(part.get("type"), str):
        return None
    return _message_problem(part)


def _message_problem(part: JsonObject) -> str | None:
    if not isinstance(part.get("role"), str):
        return 'has no "role"'
    if "content" not in part and not part.get("tool_calls"):
        return 'has no "content"'
    content = part.get("content")
    if content is not None and not isinstance(content, str | list):
        return f'has {type_name(content)} as "content", not a text or a list'
    return None


def _chat_question(prompt: Prompt, system: str | None) -> JsonObject:
    messages = (
        [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    )
    if system is None:
        return {"messages": messages}
    _check_one_system(messages)
    return {"messages": [{"role": "system", "content": system}, *messages]}


def _responses_question(prompt: Prompt, system: str | None) -> JsonObject:
    if system is None:
        return {"input": prompt}
    _check_one_system(prompt if isinstance(prompt, list) else [])
    return {"instructions": system, "input": prompt}


def _embeddings_question(prompt: Prompt, _system: str | None) -> JsonObject:
    return {"input": prompt}


def _check_one_system(messages: list[Any]) -> None:
    for message in messages:
        if message.get("role") in {"system", "developer"}:
            raise TaskError(
                f"get_prompt returned a {quoted(message['role'])} message, and"
                " --system was given too",
                "keep one of them",
            )


def _chat_format(params: JsonObject, answer_format: JsonObject) -> JsonObject:
    if "response_format" in params:
        raise _two_formats("response_format")
    wanted = {"type": "json_schema", "json_schema": answer_format}
    return {**params, "response_format": wanted}


def _responses_format(params: JsonObject, answer_format: JsonObject) -> JsonObject:
    text = params.get("text") or {}
    if not isinstance(text, dict) or "format" in text:
        raise _two_formats("text.format")
    wanted = {"type": "json_schema", **answer_format}
    return {**params, "text": {**text, "format": wanted}}


def _two_formats(name: str) -> TaskError:
    return TaskError(
        f"both --schema and the parameter {name} say how to answer", "keep one of them"
    )


_QUESTIONS = {
    Endpoint.CHAT: _chat_question,
    Endpoint.RESPONSES: _responses_question,
    Endpoint.EMBEDDINGS: _embeddings_question,
}
_FORMATS = {Endpoint.CHAT: _chat_format, Endpoint.RESPONSES: _responses_format}
_WANTED = {
    Endpoint.CHAT: "a text or a list of messages",
    Endpoint.RESPONSES: "a text or a list of messages",
    Endpoint.EMBEDDINGS: "a text or a list of texts",
}
