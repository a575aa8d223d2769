import json
import random
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.simulator.pattern_text import text_matching
from runner.simulator.schema_answers import broken_document, document_for

TREE = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "children": {"type": "array", "items": {"$ref": "#"}},
    },
    "required": ["name", "children"],
    "additionalProperties": False,
}
CHAIN = {
    "$defs": {
        "link": {
            "type": "object",
            "properties": {
                "value": {"type": "integer"},
                "next": {"anyOf": [{"$ref": "#/$defs/link"}, {"type": "null"}]},
            },
            "required": ["value", "next"],
            "additionalProperties": False,
        }
    },
    "$ref": "#/$defs/link",
}
ARTICLE = {
    "type": "object",
    "properties": {
        "sentiment": {"type": "string", "enum": ["positive", "negative"]},
        "score": {"type": "number", "minimum": 0, "maximum": 1},
        "stars": {"type": "integer", "exclusiveMinimum": 0, "maximum": 5},
        "kind": {"const": "review"},
        "tags": {
            "type": "array",
            "items": {"type": "string", "minLength": 3, "maxLength": 8},
            "minItems": 2,
            "maxItems": 4,
            "uniqueItems": True,
        },
        "sku": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{4}$"},
        "when": {"type": ["string", "null"], "format": "date"},
        "extra": {"oneOf": [{"type": "boolean"}, {"type": "integer"}]},
    },
    "required": ["sentiment", "score", "stars", "kind", "tags", "sku", "when"],
    "additionalProperties": False,
}
SCHEMAS: list[Any] = [
    ARTICLE,
    TREE,
    CHAIN,
    {"type": "integer", "minimum": -5, "maximum": -3},
    {"type": "integer", "multipleOf": 7, "minimum": 1, "maximum": 20},
    {"type": "number", "multipleOf": 0.5, "minimum": 1},
    {"type": "number", "exclusiveMinimum": 0.001, "exclusiveMaximum": 0.002},
    {"type": "number", "maximum": -1000},
    {"type": "boolean"},
    {"type": "null"},
    {"enum": [1, "two", None]},
    {"type": "string", "minLength": 200},
    {"type": "string", "maxLength": 1},
    {"properties": {"a": {"type": "string"}}, "required": ["a", "b"]},
    {"allOf": [{"properties": {"a": {"type": "null"}}}, {"required": ["a"]}]},
    {"prefixItems": [{"type": "string"}, {"type": "integer"}], "type": "array"},
    {"type": "array", "items": {"enum": [1, 2]}, "minItems": 2, "uniqueItems": True},
    {"type": "object", "minProperties": 2},
    {"type": "object", "additionalProperties": {"type": "integer"}, "required": ["n"]},
    True,
    {},
]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_documents_obey_their_schema(schema: Any) -> None:
    for seed in range(30):
        document = document_for(schema, random.Random(seed))

        jsonschema.validate(json.loads(json.dumps(document)), schema)


@given(low=st.integers(-50, 50), width=st.integers(0, 9), seed=st.integers(0, 99))
def test_numbers_stay_within_any_bounds(low: int, width: int, seed: int) -> None:
    schema = {"type": "integer", "minimum": low, "maximum": low + width}

    assert low <= document_for(schema, random.Random(seed)) <= low + width


def test_a_schema_that_requires_itself_ends() -> None:
    endless = {"properties": {"a": {"$ref": "#"}}, "required": ["a"]}

    assert "a" in document_for(endless, random.Random(1))
    assert isinstance(document_for({"$ref": "#"}, random.Random(1)), str)


def test_a_broken_document_never_obeys() -> None:
    for seed in range(30):
        document = broken_document(ARTICLE, random.Random(seed))

        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(document, ARTICLE)


def test_what_no_document_can_break_is_not_broken() -> None:
    assert broken_document({"type": "string"}, random.Random(1)) is None


@pytest.mark.parametrize(
    "pattern",
    [
        r"^[A-Z]{2}-\d{4}$",
        r"^(yes|no|un(clear|known))$",
        r"^\w+@\w+\.(com|org)$",
        r"^[^aeiou\s]{3,5}$",
        r"^a?b*c+d{2,}$",
        r"^\+\d{1,3} [0-9 -]{6,9}$",
        r"^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$",
        r"^\[\]\\$",
        r"#\d+",
    ],
)
def test_texts_match_their_pattern(pattern: str) -> None:
    texts = {text_matching(pattern, random.Random(seed)) for seed in range(20)}

    assert None not in texts  # a text is only given out after it was matched


@pytest.mark.parametrize("pattern", [r"(?=x)y", r"(?P<a>b)", "(", "*", "[a"])
def test_a_pattern_too_clever_is_left_alone(pattern: str) -> None:
    assert text_matching(pattern, random.Random(1)) is None
