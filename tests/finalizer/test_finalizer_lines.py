"""What a line of the processed and the failed file looks like."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from finalizer_cases import Night, lines_of, result_of
from hypothesis import given
from hypothesis import strategies as st

from runner.config import default_output
from runner.finalizer.itemlines import with_result
from runner.records import OutcomeState

NightOver = Callable[..., Night]

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        (b'{"a":1}', b'{"a":1,"llm":R}'),
        (b'{"a": 1.10, "b": 1e+2}', b'{"a": 1.10, "b": 1e+2,"llm":R}'),
        (b"{}", b'{"llm":R}'),
        (b"{ \t }", b'{ \t "llm":R}'),
        (b' \t{"a":1 } \t\r', b' \t{"a":1 ,"llm":R} \t\r'),
        (b'{"a":{}}', b'{"a":{},"llm":R}'),
        (b'{"a":"}"}', b'{"a":"}","llm":R}'),
        (b'{"a":"{"}', b'{"a":"{","llm":R}'),
        (b'{"z":1,"a":"\\u00e9"}', b'{"z":1,"a":"\\u00e9","llm":R}'),
    ],
)
def test_the_result_is_set_into_the_items_own_bytes(raw: bytes, line: bytes) -> None:
    """Key order, number spelling, escapes and white space stay the user's."""
    assert with_result(raw, b'"llm"', b"R") == line


@given(
    item=st.dictionaries(st.text().filter(lambda name: name != "llm"), _JSON),
    result=_JSON,
    ascii_only=st.booleans(),
    separators=st.sampled_from([(",", ":"), (" ,\t", " : ")]),
    around=st.tuples(st.text(" \t\r"), st.text(" \t\r")),
)
def test_every_line_is_the_item_and_its_result(
    item: dict[str, Any],
    result: Any,
    ascii_only: bool,
    separators: tuple[str, str],
    around: tuple[str, str],
) -> None:
    """Parsed, a line is the item plus one last key; unparsed, it only grew."""
    text = json.dumps(item, ensure_ascii=ascii_only, separators=separators)
    raw = (around[0] + text + around[1]).encode("utf-8", "surrogatepass")
    added = json.dumps(result).encode()
    line = with_result(raw, b'"llm"', added)
    parsed = json.loads(line.decode("utf-8", "surrogatepass"))
    assert list(parsed.items()) == [*item.items(), ("llm", result)]
    assert line.replace(b'"llm":' + added, b"") in (
        raw,
        raw[: raw.rindex(b"}")] + b"," + raw[raw.rindex(b"}") :],
    )


def test_bytes_pass_through_unread(night_over: NightOver) -> None:
    """BOM and CRLF go, everything inside the braces stays as it was."""
    items = (
        b'\xef\xbb\xbf{"id": 1, "n": 1.50, "u": "\xe2\x80\xa8"}\r\n'
        b'\n  {"b":[], "id" : 2 }\t\n'
        b'{"id":3}'
    )
    night = night_over(items)
    for row in range(3):
        night.record(row, result=b'{"response":"\\ud800"}')
    night.export()
    assert night.processed == (
        b'{"id": 1, "n": 1.50, "u": "\xe2\x80\xa8","llm":{"response":"\\ud800"}}\n'
        b'  {"b":[], "id" : 2 ,"llm":{"response":"\\ud800"}}\t\n'
        b'{"id":3,"llm":{"response":"\\ud800"}}\n'
    )


def test_invalid_items_are_written_failed_ones_apart_pending_ones_nowhere(
    night_over: NightOver,
) -> None:
    night = night_over(b"".join(b'{"id":%d}\n' % number for number in range(4)))
    night.record(0)
    night.record(1, OutcomeState.INVALID, result=result_of("no", valid=False))
    night.record(2, OutcomeState.FAILED, result=result_of(None, valid=False))
    night.export()
    assert [line["id"] for line in lines_of(night.processed)] == [0, 1]
    assert lines_of(night.processed)[1]["llm"]["valid"] is False
    assert [line["id"] for line in lines_of(night.failed)] == [2]
    assert night.summary["items"] == {
        "total": 4,
        "valid": 1,
        "invalid": 1,
        "failed": 1,
        "pending": 1,
        "rejected_lines": 0,
    }
    assert night.summary["complete"] is False


def test_the_key_is_the_one_the_run_began_with(
    night_over: NightOver, tmp_path: Path
) -> None:
    """Only that one was checked against the items."""
    items = b'{"llm": "mine"}\n'
    output = default_output(tmp_path / "items.jsonl")
    night = night_over(items, output=replace(output, result_key="answer ü"))
    night.record(0)
    night.export(output=output)
    line = b'{"llm": "mine","answer \\u00fc":' + result_of("1.0") + b"}\n"
    assert line == night.processed


def test_rejected_lines_stand_among_the_failed_items_in_line_order(
    night_over: NightOver,
) -> None:
    """They keep the shape of a result, and say which line and why."""
    items = b'nonsense\n{"id":1}\n[]\n{"id":2}\n{"id":3}\n{"llm":0}\n'
    night = night_over(items, on_bad_line="skip")
    night.record(0, OutcomeState.FAILED, result=result_of("failed in line 2"))
    night.record(1)
    night.record(2, OutcomeState.FAILED, result=result_of("failed in line 5"))
    summary = night.export()
    found = [line["llm"] for line in lines_of(night.failed)]
    assert [result.get("line", result["response"]) for result in found] == [
        1,
        "failed in line 2",
        3,
        "failed in line 5",
        6,
    ]
    assert summary.rejected_lines == 3
    assert found[0] == {
        "response": None,
        "valid": False,
        "requests": 0,
        "reason": "items.jsonl:1: not JSON at column 1 (Expecting value)",
        "hint": "mend the line",
        "line": 1,
        "model": None,
        "finish_reason": None,
        "usage": {
            "input_tokens": 0,
            "cached_input_tokens": 0,
            "output_tokens": 0,
            "reasoning_tokens": 0,
        },
        "cost_usd": "0",
        "request_id": None,
    }
