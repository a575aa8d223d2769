"""Is this line one JSON object that can be sent and stored without loss?

Owns the rules beyond JSON's grammar: no duplicate keys, no infinities, no half
characters, no bottomless nesting. Everything refused is a BadLine with words
for the user. Must not know files.

Floor: doors and rules. Knows records.
"""

import json
import math
import re
from typing import Any, NoReturn

from runner.itemfile.diagnosis import BadLine, not_an_object, syntax_error
from runner.itemfile.text import shown
from runner.records import JsonObject

MAX_NESTING = 200
"""Levels of lists and objects. Python's parser gives up near 1,000 minus the
depth of the stack it is called from; a worker must read what the scan read."""

_BRACKETS = re.compile(
    rb'"(?>(?:[^"\\]+|\\.)*+)(?:"|\\?\Z)|([\[{])|[\]}]',  # a whole string, or one
    re.DOTALL,
)


def parse(raw: bytes) -> JsonObject:
    """The fields of one line; raises BadLine."""
    try:
        _refuse_deep(raw)
        fields = _DECODER.decode(raw.decode())
    except BadLine:
        raise
    except RecursionError:
        raise _too_deep() from None
    except (UnicodeDecodeError, ValueError) as error:
        raise syntax_error(raw, error) from error
    if type(fields) is not dict:
        raise not_an_object(raw, fields)
    if b"\\ud" in raw or b"\\uD" in raw:
        _refuse_half_characters(fields)
    return fields


def _refuse_deep(raw: bytes) -> None:
    # Counting is cheap and nearly always enough; only then strings are told
    # from structure, without recursion, before the parser sees the line.
    if raw.count(b"[") + raw.count(b"{") <= MAX_NESTING:
        return
    depth = 0
    for token in _BRACKETS.finditer(raw):
        if token[1]:
            depth += 1
            if depth > MAX_NESTING:
                raise _too_deep()
        elif token[0] in (b"]", b"}"):
            depth -= 1


def _too_deep() -> BadLine:
    return BadLine(f"nested deeper than {MAX_NESTING} levels", "flatten the item")


def _unique(pairs: list[tuple[str, Any]]) -> JsonObject:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise _duplicate_key(pairs)
    return fields


def _duplicate_key(pairs: list[tuple[str, Any]]) -> BadLine:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            break
        seen.add(key)
    return BadLine(
        f'key "{shown(key)}" stands twice in one object', "keep one of the two"
    )


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise BadLine(
            f"number {shown(text, 30)} is too large for a float",
            "write it as a string",
        )
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise BadLine(f"{name} is not JSON", "write null, or a string")


def _refuse_half_characters(fields: JsonObject) -> None:
    waiting: list[Any] = [fields]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            _refuse_half_character(value)
        elif isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            waiting += value


def _refuse_half_character(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(text[error.start]):04x}"
        raise BadLine(
            f"{half} is half a character (a lone surrogate): it cannot be sent",
            "write both halves, or the character itself",
        ) from None


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_finite, parse_constant=_refuse_constant
)
