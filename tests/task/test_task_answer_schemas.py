import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_builders import ITEM, answer, refusal_of, task

from runner.records import JsonObject, Verdict
from runner.task import read_prompt, read_schema
from runner.task.schema import AnswerSchema


def strict(**properties: Any) -> JsonObject:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


PERSON = strict(
    name={"type": "string", "pattern": "^[A-Z]"},
    age={"type": ["integer", "null"], "minimum": 0},
    tags={"type": "array", "items": {"enum": ["a", "b"]}},
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"name": "Ann", "age": 3, "tags": ["a"]}', None),
        ('{"name": "Ann", "age": null, "tags": []}', None),
        (
            '{"name": "Ann", "age": -1, "tags": []}',
            "$.age: -1 is less than the minimum of 0",
        ),
        (
            '{"name": "Ann", "age": 1, "tags": ["a", "c"]}',
            "$.tags[1]: 'c' is not one of ['a', 'b']",
        ),
        (
            '{"name": "ann", "age": 1, "tags": []}',
            "$.name: 'ann' does not match '^[A-Z]'",
        ),
        ('{"age": 1, "tags": []}', "$: 'name' is a required property"),
        ("```json\n{}\n```", "not JSON: Expecting value: line 1 column 1 (char 0)"),
        ('{"age": NaN}', "not JSON: NaN is not JSON"),
        ('{"age": 1} and more', "not JSON: Extra data: line 1 column 12 (char 11)"),
        ("[" * 100_000, "not JSON: maximum recursion depth exceeded"),
    ],
)
def test_an_answer_must_be_json_that_follows_the_schema(
    text: str, reason: str | None
) -> None:
    judged = task(schema=PERSON).judge(ITEM, answer(text))

    assert judged.valid is (reason is None)
    assert (judged.reason or "").startswith(reason or "")


def test_tool_calls_are_no_text_to_check() -> None:
    judged = task(schema=PERSON).judge(ITEM, answer([{"name": "f"}]))

    assert judged == Verdict(valid=False, reason="no text to check against the schema")


@pytest.mark.parametrize(
    ("schema", "complaint"),
    [
        ({"type": "array"}, '$: a strict schema is a "type": "object", without anyOf'),
        ({**PERSON, "anyOf": []}, "$.anyOf: [] should be non-empty"),
        ({**PERSON, "anyOf": [{}]}, "without anyOf"),
        (
            {"type": "object", "properties": {}},
            "$: a strict schema must forbid other properties: add",
        ),
        (
            strict(a={"type": "object", "properties": {"b": {}}, "required": ["b"]}),
            "$.properties.a: a strict schema must forbid other properties",
        ),
        (
            strict(a={"type": "array", "items": {"type": ["object", "null"]}}),
            "$.properties.a.items: a strict schema must forbid",
        ),
        (
            {**strict(a={}), "required": []},
            '$: a strict schema must require every property, and "a" is not required',
        ),
        (
            {**strict(a={}), "$defs": {"X": {**strict(b={}), "required": []}}},
            "$.$defs.X: a strict schema must require every property",
        ),
        (
            strict(a={"anyOf": [strict(), {"type": "object"}]}),
            "$.properties.a.anyOf[1]: a strict schema must forbid",
        ),
        ({**strict(), "required": ["a"]}, '$: "a" is required, but is no property'),
        (strict(a={"type": "strng"}), "$.properties.a.type: 'strng' is not valid"),
        (strict(a={"pattern": "a("}), "$.properties.a.pattern: missing )"),
        (strict(a={"patternProperties": {}}), "patternProperties is not supported"),
        (
            strict(a={"$ref": "http://127.0.0.1:9/x.json"}),
            "http://127.0.0.1:9/x.json is outside of the schema",
        ),
        (strict(a={"$ref": "other.json#/x"}), "is outside of the schema"),
        (strict(a={"$ref": "#/$defs/none"}), "there is no #/$defs/none in the schema"),
        (
            {**strict(a={"$ref": "#/$defs/x"}), "$defs": {"x": {"$ref": "#/$defs/x"}}},
            "$ref leads back to itself",
        ),
        ([1], "the schema is a JSON list, not an object"),
        (strict(a={"const": float("nan")}), "not JSON: Out of range float"),
    ],
)
def test_a_schema_no_server_would_take_is_refused_with_its_path(
    schema: Any, complaint: str
) -> None:
    assert complaint in refusal_of(task, schema=schema)


def test_the_file_is_named_in_messages_and_names_the_format(tmp_path: Path) -> None:
    path = tmp_path / "my person.json"

    made = task(schema=strict(), schema_path=path).request_for(ITEM)

    assert made.body["response_format"]["json_schema"]["name"] == "my_person"
    report = refusal_of(task, schema={"type": "array"}, schema_path=path)
    assert report.startswith("my person.json: $: ")


def test_recursive_schemas_and_definitions_are_followed() -> None:
    tree = strict(children={"type": "array", "items": {"$ref": "#/$defs/leaf"}})
    tree["$defs"] = {"leaf": strict(sub={"anyOf": [{"$ref": "#"}, {"type": "null"}]})}
    asking = task(schema=tree)

    good = '{"children": [{"sub": {"children": []}}, {"sub": null}]}'
    bad = '{"children": [{"sub": {"children": [1]}}]}'

    assert asking.judge(ITEM, answer(good)) == Verdict(valid=True)
    assert asking.judge(ITEM, answer(bad)).valid is False


def test_an_answer_too_deep_to_check_is_unjudged() -> None:
    tree = strict(sub={"anyOf": [{"$ref": "#"}, {"type": "null"}]})
    deep = '{"sub": ' * 400 + "null" + "}" * 400

    judged = task(schema=tree).judge(ITEM, answer(deep))

    assert judged == Verdict(
        valid=None,
        reason="nested too deeply to check against the schema",
        ask_again=False,
    )


def test_a_schemas_pattern_cannot_hang_a_worker() -> None:
    asking = task(schema=strict(a={"type": "string", "pattern": "^(a|a)+$"}))

    judged = asking.judge(ITEM, answer(json.dumps({"a": "a" * 40 + "!"})))

    assert judged == Verdict(
        valid=None,
        reason="a pattern of the schema took longer than 1 s",
        ask_again=False,
    )


@pytest.mark.parametrize(
    ("draft", "keyword"),
    [
        ("http://json-schema.org/draft-07/schema#", "definitions"),
        ("https://json-schema.org/draft/2020-12/schema", "$defs"),
        ("https://example.com/unknown", "$defs"),
    ],
)
def test_the_schemas_own_draft_is_used(draft: str, keyword: str) -> None:
    schema = {
        "$schema": draft,
        **strict(a={"$ref": f"#/{keyword}/x"}),
        keyword: {"x": {"type": "integer"}},
    }

    assert task(schema=schema).judge(ITEM, answer('{"a": 1}')).valid is True
    assert task(schema=schema).judge(ITEM, answer('{"a": "1"}')).valid is False


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b'{"a": 1,\n  "b"}', ":2:6: not JSON: Expecting ':' delimiter"),
        (b'{"a": NaN}', "not JSON: NaN is not JSON"),
        (b"[1]", "is a JSON list, not an object"),
        (b"\xff", "byte 0 is not UTF-8: save the file as UTF-8"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_a_schema_file_that_cannot_be_read_says_where(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    path = tmp_path / "s.json"
    path.write_bytes(content)

    assert complaint in refusal_of(read_schema, path)


def test_a_missing_schema_or_prompt_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none"

    assert refusal_of(read_schema, path) == f"schema {path}: No such file or directory"
    assert refusal_of(read_prompt, path).startswith(f"prompt file {path}: No such")


def test_a_prompt_file_loses_its_mark_and_last_line_end_only(tmp_path: Path) -> None:
    path = tmp_path / "p.txt"
    path.write_bytes(b"\xef\xbb\xbfSay\r\n {{title}}\n\n")

    assert read_prompt(path) == "Say\n {{title}}\n"
    body = task(prompt=None, prompt_path=path).request_for(ITEM).body
    assert body["messages"][0]["content"] == "Say\n Boat\n"


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)
VALUES = st.recursive(
    SCALARS | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner)
    ),
    max_leaves=6,
)
KINDS = st.sampled_from(["string", "integer", "number", "null", "array", "boolean"])
SCHEMAS = st.builds(
    lambda kinds, least: {
        **strict(**{name: {"type": kind} for name, kind in kinds.items()}),
        "properties": {
            name: {"type": kind, "minimum": least, "pattern": "^.", "minItems": 1}
            for name, kind in kinds.items()
        },
    },
    st.dictionaries(st.sampled_from(["a", "b", "c"]), KINDS),
    st.integers(-5, 5),
)


@given(schema=SCHEMAS, value=VALUES)
def test_the_verdict_is_jsonschemas_own(schema: JsonObject, value: Any) -> None:
    text = json.dumps(value)
    expected = jsonschema.Draft202012Validator(schema).is_valid(json.loads(text))

    verdict = AnswerSchema(schema, None, is_sent=True).check(ITEM, answer(text))

    assert (verdict is None) is expected
