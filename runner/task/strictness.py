"""Would a server in strict mode take this schema?

Owns the rules of strict structured outputs that can be told from the schema
alone, so that no night begins with every request refused. Source: OpenAI guide
"Structured Outputs", section "Supported schemas".

Floor: doors and rules.
"""

from collections.abc import Iterator
from typing import Any

from runner.errors import TaskError
from runner.records import JsonObject

Node = tuple[str, JsonObject]
"""A JSON path and the schema that stands there."""

_MAPS = ("properties", "$defs", "definitions", "dependentSchemas", "dependencies")
_LISTS = ("anyOf", "allOf", "oneOf", "prefixItems")
_SINGLE = (
    "items",
    "additionalItems",
    "additionalProperties",
    "contains",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
    "not",
    "if",
    "then",
    "else",
)


def nodes(schema: JsonObject) -> Iterator[Node]:
    """Every schema within the schema, itself first, with its JSON path."""
    waiting: list[tuple[str, Any]] = [("$", schema)]
    while waiting:
        path, node = waiting.pop()
        if isinstance(node, dict):
            yield path, node
            waiting.extend(reversed(list(_inner(path, node))))


def check_strict(schema: JsonObject, source: str) -> None:
    """Refuse what a server in strict mode answers with 400.

    Raises:
        TaskError: with the JSON path of the first offence and its cure.
    """
    if schema.get("type") != "object" or "anyOf" in schema:
        raise TaskError(
            f'{source}: $: a strict schema is a "type": "object", without anyOf',
            'wrap it: {"type": "object", "properties": {"answer": ...}}',
        )
    for path, node in nodes(schema):
        if _is_object(node):
            _check_object(node, f"{source}: {path}")


def _inner(path: str, node: JsonObject) -> Iterator[tuple[str, Any]]:
    for key in _MAPS:
        inner = node.get(key)
        if isinstance(inner, dict):
            yield from ((f"{path}.{key}.{name}", sub) for name, sub in inner.items())
    for key in _LISTS:
        yield from _listed(path, key, node.get(key))
    for key in _SINGLE:
        if isinstance(node.get(key), dict):
            yield f"{path}.{key}", node[key]
    yield from _listed(path, "items", node.get("items"))  # drafts before 2020-12


def _listed(path: str, key: str, inner: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(inner, list):
        yield from ((f"{path}.{key}[{i}]", sub) for i, sub in enumerate(inner))


def _is_object(node: JsonObject) -> bool:
    kind = node.get("type")
    is_typed = kind == "object" or (isinstance(kind, list) and "object" in kind)
    return is_typed or "properties" in node


def _check_object(node: JsonObject, place: str) -> None:
    if node.get("additionalProperties") is not False:
        raise TaskError(
            f"{place}: a strict schema must forbid other properties",
            'add "additionalProperties": false there',
        )
    properties = list(node.get("properties", {}))
    required = node.get("required", [])
    for name in properties:
        if name not in required:
            raise TaskError(
                f'{place}: a strict schema must require every property, and "{name}"'
                " is not required",
                'add it to "required"; for an optional one allow null:'
                ' "type": ["string", "null"]',
            )
    for name in required:
        if name not in properties:
            raise TaskError(f'{place}: "{name}" is required, but is no property')
