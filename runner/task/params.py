"""Which parameters may go into a body.

Owns what is reserved (the runner writes it) and what is impossible (it cannot
be answered by one whole reply). Everything else passes verbatim.

Floor: doors and rules.
"""

from typing import Any

from runner.errors import TaskError
from runner.records import JsonObject
from runner.task.plainjson import NotJson, frozen_copy, quoted, type_name

_RESERVED = {
    "model": "use --model",
    "messages": "use --prompt and --system, or get_prompt in a task file",
    "input": "use --prompt, or get_prompt in a task file",
    "instructions": "use --system",
}
_IMPOSSIBLE = {
    "stream": "an answer is stored as it came, in one piece: it cannot be streamed",
    "background": "an answer is the reply to its request: nothing is fetched later",
}
_ONE_ANSWER = ("n", "best_of")


def checked_params(params: Any, source: str) -> JsonObject:
    """A private copy of the parameters, if a body can hold them.

    Args:
        params: what the user gave.
        source: names it in messages: "--param", "get_params".

    Raises:
        TaskError: not an object, not JSON, reserved, or impossible.
    """
    if not isinstance(params, dict):
        raise TaskError(f"{source} gave {type_name(params)}, not a dict")
    for name in params:
        if not isinstance(name, str):
            raise TaskError(f"{source}: {name!r} is not a parameter's name")
        if name in _RESERVED:
            raise TaskError(f"{source} must not set {name}", _RESERVED[name])
    check_possible(params, source)
    return {name: _checked(value, name, source) for name, value in params.items()}


def check_possible(body: JsonObject, source: str) -> None:
    """Refuse what one whole reply cannot answer.

    Raises:
        TaskError: for `stream`, `background`, and `n` or `best_of` above 1.
    """
    for name, reason in _IMPOSSIBLE.items():
        if body.get(name):
            raise TaskError(f"{source}: {name} is not possible: {reason}", _leave(name))
    for name in _ONE_ANSWER:
        value = body.get(name)
        if value is not None and (not isinstance(value, int | float) or value > 1):
            raise TaskError(
                f"{source}: {name} = {quoted(value)} is not possible: an item has one"
                " answer",
                f"{_leave(name)}; for several answers repeat the item under other ids",
            )


def _checked(value: Any, name: str, source: str) -> Any:
    try:
        return frozen_copy(value)
    except NotJson as error:
        raise TaskError(f"{source}: {quoted(name)} is not JSON: {error}") from error


def _leave(name: str) -> str:
    return f"leave {name} out"
