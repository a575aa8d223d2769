"""Which document obeys this JSON Schema?

Owns a generator for what people ask models for: objects, arrays, enums, bounds,
patterns, alternatives and references, recursive ones too. It obeys; it does not
validate, and a schema that nothing can obey gets some document.

Floor: simulator. Knows pattern_text and wire.
"""

import math
import random
from collections.abc import Callable
from typing import Any

from runner.simulator.pattern_text import text_matching
from runner.simulator.phrases import words
from runner.simulator.wire import JsonObject

_SHALLOW = 4
"""Deeper than this, everything optional is left out."""
_MORE = 3
"""How many items beyond the fewest an array gets at most."""
_DEEPEST = 40
"""Deeper than this, a schema that requires itself gets null."""

_FORMATS = {
    "date": "2026-11-23",
    "time": "08:30:00Z",
    "date-time": "2026-11-23T08:30:00Z",
    "duration": "P1DT2H",
    "email": "night.shift@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.7",
    "ipv6": "2001:db8::7",
    "uri": "https://example.com/night",
    "uuid": "7f0e2c1a-4f5b-4c3d-9a8e-1b2c3d4e5f60",
}


def document_for(schema: Any, random_: random.Random) -> Any:
    """A JSON document that obeys `schema`."""
    return _Generator(schema, random_).document(schema, 0)


def broken_document(schema: Any, random_: random.Random) -> Any:
    """A document that does not obey: a required property is missing.

    None if the schema is not an object with required properties.
    """
    document = document_for(schema, random_)
    required = schema.get("required") if isinstance(schema, dict) else None
    if not isinstance(document, dict) or not required:
        return None
    missing = random_.choice(required)
    kept = {name: value for name, value in document.items() if name != missing}
    return kept | {f"not_{missing}": "INVALID ANSWER"}


class _Generator:
    def __init__(self, root: Any, random_: random.Random) -> None:
        self._root = root
        self._random = random_
        self._by_type: dict[str, Callable[[JsonObject, int], Any]] = {
            "object": self._object,
            "array": self._array,
            "string": self._string,
            "integer": self._integer,
            "number": self._number,
            "boolean": lambda *_: self._random.random() < 0.5,  # noqa: PLR2004 (a coin)
            "null": lambda *_: None,
        }

    def document(self, schema: Any, depth: int) -> Any:
        if not isinstance(schema, dict) or depth > _DEEPEST:
            return None if schema is not True else words(2, self._random)
        schema = self._flat(schema)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self._random.choice(schema["enum"])
        for word in ("anyOf", "oneOf"):
            if schema.get(word):
                rest = {name: schema[name] for name in schema if name != word}
                option = self._option(schema[word], depth)
                return self.document(_merged(rest, option), depth + 1)
        make = self._by_type.get(self._type(schema, depth), self._string)
        return make(schema, depth)

    def _flat(self, schema: JsonObject) -> JsonObject:
        """References followed and `allOf` merged into one schema."""
        for _ in range(_DEEPEST):
            parts = list(schema.get("allOf", ()))
            if "$ref" in schema:
                parts.append(self._resolved(schema["$ref"]))
            if not parts:
                return schema
            schema = {k: v for k, v in schema.items() if k not in ("$ref", "allOf")}
            for part in parts:
                schema = _merged(schema, part)
        return {}

    def _resolved(self, reference: Any) -> Any:
        """The schema that `#/a/b` points to, inside the same document."""
        found = self._root
        for name in str(reference).lstrip("#").split("/")[1:]:
            name = name.replace("~1", "/").replace("~0", "~")  # noqa: PLW2901 (RFC 6901)
            if isinstance(found, list) and name.isdigit():
                found = dict(enumerate(found)).get(int(name))
            else:
                found = found.get(name) if isinstance(found, dict) else None
        return found if isinstance(found, dict) else {}

    def _option(self, options: list[Any], depth: int) -> Any:
        if depth < _SHALLOW:
            return self._random.choice(options)
        return min(options, key=self._weight)

    def _weight(self, schema: Any) -> int:
        """How likely a schema is to go on for ever: null and scalars first."""
        if not isinstance(schema, dict):
            return 0
        schema = self._flat(schema)
        kinds = {"null": 0, "object": 3, "array": 2}
        heaviest = kinds.get(str(schema.get("type")), 1)
        if "properties" in schema:
            heaviest = 3 + len(schema.get("required", ()))
        return heaviest

    def _type(self, schema: JsonObject, depth: int) -> str:
        kind = schema.get("type")
        if isinstance(kind, list):
            return str(
                self._random.choice(kind)
                if depth < _SHALLOW or "null" not in kind
                else "null"
            )
        if kind:
            return str(kind)
        return _type_by_its_words(schema)

    def _object(self, schema: JsonObject, depth: int) -> JsonObject:
        required = schema.get("required", [])
        properties = schema.get("properties", {})
        document = {}
        for name, inner in properties.items():
            wanted = depth < _SHALLOW and self._random.random() < 0.7  # noqa: PLR2004 (most)
            if name in required or wanted:
                document[name] = self.document(inner, depth + 1)
        extra = schema.get("additionalProperties", True)
        missing = [name for name in required if name not in properties]
        while len(document) + len(missing) < schema.get("minProperties", 0):
            missing.append(f"key_{len(missing) + 1}")
        for name in missing:
            document[name] = self.document(extra, depth + 1)
        return document

    def _array(self, schema: JsonObject, depth: int) -> list[Any]:
        heads = schema.get("prefixItems", [])
        least = max(schema.get("minItems", 0), len(heads))
        most = schema.get("maxItems", least if depth >= _SHALLOW else math.inf)
        count = self._random.randint(least, max(least, min(most, least + _MORE)))
        items = [self.document(head, depth + 1) for head in heads]
        rest = schema.get("items", True)
        for _ in range(20 * count):
            if len(items) >= count:
                break
            item = self.document(rest, depth + 1)
            if not schema.get("uniqueItems") or item not in items:
                items.append(item)
        return items

    def _string(self, schema: JsonObject, _depth: int) -> str:
        if "pattern" in schema:
            text = text_matching(str(schema["pattern"]), self._random)
            if text is not None:
                return text
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        least, most = schema.get("minLength", 0), schema.get("maxLength", math.inf)
        text = words(self._random.randint(1, 5), self._random)
        while len(text) < least:
            text += " " + words(3, self._random)
        return (
            text if len(text) <= most else text[: int(most)].rstrip().ljust(least, "x")
        )

    def _integer(self, schema: JsonObject, _depth: int) -> int:
        step = schema.get("multipleOf", 1)
        low, high = _bounds(schema, 1)
        first, last = math.ceil(low / step), math.floor(high / step)
        return int(self._random.randint(first, max(first, last)) * step)

    def _number(self, schema: JsonObject, _depth: int) -> float:
        if "multipleOf" in schema:
            low, high = _bounds(schema, schema["multipleOf"])
            first = math.ceil(low / schema["multipleOf"])
            last = math.floor(high / schema["multipleOf"])
            steps = self._random.randint(first, max(first, last))
            return float(steps * schema["multipleOf"])
        low, high = _bounds(schema, 1e-9)
        number = round(self._random.uniform(low, high), 2)
        return number if low <= number <= high else self._random.uniform(low, high)


def _merged(one: Any, other: Any) -> Any:
    """Both schemas in one, properties and requirements joined."""
    if not isinstance(one, dict) or not isinstance(other, dict):
        return other if isinstance(one, dict) else one
    merged = {**one, **other}
    if "properties" in one and "properties" in other:
        merged["properties"] = {**one["properties"], **other["properties"]}
    if "required" in one and "required" in other:
        merged["required"] = list(dict.fromkeys([*one["required"], *other["required"]]))
    return merged


def _type_by_its_words(schema: JsonObject) -> str:
    words_of = {
        "object": ("properties", "required", "additionalProperties", "minProperties"),
        "array": ("items", "prefixItems", "minItems", "uniqueItems"),
        "number": ("minimum", "maximum", "exclusiveMinimum", "multipleOf"),
    }
    for kind, names in words_of.items():
        if any(name in schema for name in names):
            return kind
    return "string"


def _bounds(schema: JsonObject, gap: float) -> tuple[float, float]:
    """The lowest and highest number allowed; `gap` steps off an exclusive one."""
    low = schema.get("minimum", -math.inf)
    high = schema.get("maximum", math.inf)
    if "exclusiveMinimum" in schema:
        low = max(low, schema["exclusiveMinimum"] + gap)
    if "exclusiveMaximum" in schema:
        high = min(high, schema["exclusiveMaximum"] - gap)
    if low == -math.inf:
        low = min(0, high - 100) if high < math.inf else 0
    if high == math.inf:
        high = low + 100
    return low, high
