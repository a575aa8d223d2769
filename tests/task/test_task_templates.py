import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_builders import ITEM, item, refusal_of, task

from runner.errors import TaskError
from runner.task.template import Template

FIELDS = {
    "title": "Boat",
    "n": 3,
    "price": 2.5,
    "big": 10**25,
    "yes": True,
    "nothing": None,
    "tags": ["red", {"deep": "down"}],
    "meta": {"k": "é", "a b": 1},
    "a.b": "dotted",
    "a": {"b": "nested"},
    "": "empty name",
    "Größe": "XL",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{title}}", "Boat"),
        ("{{ title }}!", "Boat!"),
        ("{{title}}{{title}}", "BoatBoat"),
        ("{{n}} {{price}} {{big}}", f"3 2.5 {10**25}"),
        ("{{yes}} {{nothing}}", "true null"),
        ("{{meta}}", '{"k":"é","a b":1}'),
        ("{{tags}}", '["red",{"deep":"down"}]'),
        ("{{tags.0}} {{tags.1.deep}}", "red down"),
        ("{{meta.a b}}", "1"),
        ("{{Größe}}", "XL"),
        ("{{a.b}}", "dotted"),
        ('{"x": {{n}}}', '{"x": 3}'),
        ("{{{title}}}", "{Boat}"),
        (r"\{{title}} {{title}}", "{{title}} Boat"),
        (r"C:\\{{title}}", "C:\\Boat"),
        (r"\d{2} }} {x}", r"\d{2} }} {x}"),
        ("line\n{{title}}\nline", "line\nBoat\nline"),
    ],
)
def test_fields_are_replaced_by_the_items_values(text: str, expected: str) -> None:
    assert Template(text, "--prompt").render(FIELDS) == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a\nb {{title", "--prompt:2: '{{' is never closed"),
        ("{{title}", "--prompt:1: '{{' is never closed"),
        ("{{a{{b}}}}", "--prompt:1: '{{' is never closed"),
        ("{{title\n}}", "--prompt:1: '{{' is never closed"),
        ("{{}}", "--prompt:1: '{{}}' names no field"),
        ("{{  }}", "--prompt:1: '{{}}' names no field"),
    ],
)
def test_a_broken_template_is_refused_with_its_line(text: str, complaint: str) -> None:
    assert refusal_of(Template, text, "--prompt") == (
        complaint + r": for literal braces write \{{"
    )


@pytest.mark.parametrize(
    ("prompt", "complaint"),
    [
        ("{{titel}}", 'no field "titel" (the item has: title, meta, tags)'),
        ("{{meta.x}}", 'no field "x" in "meta" (it has: k)'),
        ("{{title.x}}", 'no field "x" in "title", which is str'),
        ("{{tags.2}}", '"tags" is a list of 1: it has no "2"'),
        ("{{tags.-1}}", '"tags" is a list of 1: it has no "-1"'),
        (
            '{{"a": 1}}',
            (
                'no field "\\"a\\": 1" (the item has: title, meta, tags):'
                r" for literal braces write \{{"
            ),
        ),
    ],
)
def test_an_unknown_field_is_reported_with_line_and_id(
    prompt: str, complaint: str
) -> None:
    """The person mends the template or the line without searching."""
    one = item({"title": "Boat", "meta": {"k": 1}, "tags": ["x"]})

    report = refusal_of(task(prompt=prompt).request_for, one)

    assert report == f'items.jsonl:17 (id "a-1"): {complaint}'


def test_ids_cannot_write_to_the_terminal() -> None:
    one = item({"x": 1}, item_id="\x1b]0;owned\x07" + "y" * 500)

    report = refusal_of(task().request_for, one)

    assert "\x1b" not in report
    assert "\x07" not in report
    assert len(report) < 200


@pytest.mark.parametrize("value", [float("inf"), [float("nan")]])
def test_a_number_json_does_not_know_is_refused(value: Any) -> None:
    report = refusal_of(task().request_for, item({"title": value}))

    assert "a field cannot be written as JSON: Out of range float" in report


def test_a_prompt_without_fields_is_refused() -> None:
    """Every item would be the same question, paid for a thousand times."""
    assert refusal_of(task, prompt="Say {title}") == (
        "--prompt has no {{field}}: every item would ask the same:"
        " name a field of your items, as in 'Summarise: {{text}}'"
    )


def test_the_system_text_may_hold_the_fields() -> None:
    made = task(prompt="Go.", system="You are a {{title}}").request_for(ITEM)

    assert made.body["messages"] == [
        {"role": "system", "content": "You are a Boat"},
        {"role": "user", "content": "Go."},
    ]


def test_half_characters_are_refused_before_they_are_sent() -> None:
    report = refusal_of(task().request_for, item({"title": "bad \ud83d end"}))

    assert report == (
        'items.jsonl:17 (id "a-1"): the request cannot be sent:'
        " \\ud83d is half a character (a lone surrogate)"
    )


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(["{{a}}", "{{b}}", r"\{{a}}", "}}", "{{"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(a=JSON, b=JSON)
def test_a_value_is_never_expanded_again(a: Any, b: Any) -> None:
    """What an item says is data, whatever it looks like."""

    def shown(value: Any) -> str:
        if isinstance(value, str):
            return value
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    rendered = Template("<{{a}}|{{b}}>", "--prompt").render({"a": a, "b": b})

    assert rendered == f"<{shown(a)}|{shown(b)}>"


@given(text=st.text(alphabet="{}\\ab.\n "))
def test_any_text_is_a_template_or_a_clear_error(text: str) -> None:
    try:
        template = Template(text, "--prompt")
    except TaskError:
        return
    rendered = template.render(dict.fromkeys(template.fields, "x"))
    assert template.fields or rendered.count("{{") == text.count("{{")
