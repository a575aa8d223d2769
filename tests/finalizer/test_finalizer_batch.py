"""The same run as output of OpenAI's Batch API."""

import json
from collections.abc import Callable

import pytest
from finalizer_cases import Night, lines_of, numbered
from hypothesis import given
from hypothesis import strategies as st

from runner.config import Format, TaskSpec
from runner.errors import StateDamaged
from runner.finalizer.batchlines import verbatim
from runner.records import Failure, FailureKind, OutcomeState

NightOver = Callable[..., Night]

REFUSED = Failure(
    kind=FailureKind.REJECTED, message="too long", status=400, code="context_length"
)


def batch_items(*custom_ids: str) -> bytes:
    """Batch-API input lines."""
    lines = (
        {
            "custom_id": custom_id,
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": "m"},
            "number": at,
        }
        for at, custom_id in enumerate(custom_ids)
    )
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def test_answers_become_output_lines_with_the_body_as_received(
    night_over: NightOver,
) -> None:
    """Real replies come indented: only the line ends between tokens go."""
    night = night_over(batch_items("a", "b"))
    body = b'{\r\n  "usage": {"x": 1.50},\n  "text": "a\\nb \xc3\xbc"\n}\n'
    night.answer(0, slot=2, body=body)
    night.answer(1)
    summary = night.export(in_format=Format.BATCH)
    assert night.processed.split(b"\n")[0] == (
        b'{"id":"batch_req_abc123_0","custom_id":"a","response":'
        b'{"status_code":200,"request_id":"req_0_1","body":'
        b'{    "usage": {"x": 1.50},   "text": "a\\nb \xc3\xbc" }},"error":null}'
    )
    assert [line["custom_id"] for line in lines_of(night.processed)] == ["a", "b"]
    assert (night.failed, summary.format) == (b"", "batch")


def test_the_reply_that_became_the_response_is_the_one_written(
    night_over: NightOver,
) -> None:
    """Not the last one: judged anew, an earlier answer may win."""
    night = night_over(batch_items("a"))
    first = night.settle(night.begin(0), body=b'{"n":1}')
    night.settle(night.begin(0, slot=2), body=b'{"n":2}')
    night.record(0, answer=first)
    night.export(in_format=Format.BATCH)
    assert lines_of(night.processed)[0]["response"]["body"] == {"n": 1}


def test_answers_judged_invalid_are_answers_all_the_same(
    night_over: NightOver,
) -> None:
    night = night_over(batch_items("a"))
    done = night.settle(night.begin(0), body=b'{"n":1}')
    night.record(0, OutcomeState.INVALID, answer=done)
    night.export(in_format=Format.BATCH)
    assert lines_of(night.processed)[0]["error"] is None


def test_a_verdict_without_a_reply_is_refused(night_over: NightOver) -> None:
    """Never an output line without a response."""
    night = night_over(batch_items("a"))
    night.record(0)
    with pytest.raises(StateDamaged, match="item 0"):
        night.export(in_format=Format.BATCH)


def test_failed_items_become_error_lines(night_over: NightOver) -> None:
    """With the server's own words where it answered, null where it did not."""
    night = night_over(batch_items("refused", "cut", "poison"))
    outage = Failure(kind=FailureKind.SERVER, message="502", status=502)
    night.settle(night.begin(0, slot=2), failure=outage, status=502, body=b"<html>")
    refusal = b'{"error": {"code": "context_length"}}'
    night.settle(night.begin(0), failure=REFUSED, status=400, body=refusal)
    night.record(0, OutcomeState.FAILED, reason="refused: too long")
    cut = Failure(kind=FailureKind.CUT, message="cut off", possibly_billed=True)
    night.settle(night.begin(1), failure=cut, status=None, body=b"")
    night.record(1, OutcomeState.FAILED, reason="6 failures, the last: cut off")
    night.begin(2)
    night.record(2, OutcomeState.FAILED, slot=0, reason="its worker died 3 times")
    night.export(in_format=Format.BATCH)
    assert night.processed == b""
    assert lines_of(night.failed) == [
        {
            "id": "batch_req_abc123_0",
            "custom_id": "refused",
            "response": {
                "status_code": 400,
                "request_id": "req_0_2",
                "body": {"error": {"code": "context_length"}},
            },
            "error": {"code": "context_length", "message": "refused: too long"},
        },
        {
            "id": "batch_req_abc123_1",
            "custom_id": "cut",
            "response": None,
            "error": {"code": "cut", "message": "6 failures, the last: cut off"},
        },
        {
            "id": "batch_req_abc123_2",
            "custom_id": "poison",
            "response": None,
            "error": {"code": "failed", "message": "its worker died 3 times"},
        },
    ]


def test_rejected_lines_are_errors_without_a_custom_id(night_over: NightOver) -> None:
    night = night_over(b"oops\n" + batch_items("a"), on_bad_line="skip")
    night.export(in_format=Format.BATCH)
    (line,) = lines_of(night.failed)
    assert (line["id"], line["custom_id"]) == ("batch_req_abc123_line_1", None)
    assert line["error"]["code"] == "invalid_line"
    assert line["error"]["message"].startswith("items.jsonl:1: not JSON")


def test_ids_of_plain_items_are_written_as_text(night_over: NightOver) -> None:
    """A custom_id is a string in OpenAI's format."""
    night = night_over(numbered(2) + b'{"id":true}\n{"id":"\xc3\xbc"}\n')
    for row in range(4):
        night.answer(row)
    night.export(in_format=Format.BATCH)
    found = [line["custom_id"] for line in lines_of(night.processed)]
    assert found == ["0", "1", "true", "ü"]


def test_a_request_keeps_its_custom_id_under_another_id_field(
    night_over: NightOver,
) -> None:
    """Whoever joins by custom_id must find it, whatever --id-field says."""
    task = TaskSpec(batch=True)
    night = night_over(batch_items("x", "y"), id_field="number", task=task)
    night.answer(0)
    night.answer(1)
    night.export(in_format=Format.BATCH)
    assert [line["custom_id"] for line in lines_of(night.processed)] == ["x", "y"]
    assert night.summary["models"] == []


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (b'\xef\xbb\xbf{"a": 1}', b'{"a":1}'),
        (b'{"a": NaN, "b": [-Infinity]}', b'{"a":null,"b":[null]}'),
        (b'{"a": "\xed\xa0\x80"}', b'{"a":"\\ud800"}'),
        (b"<html>\n\xff", b'"<html>\\n\\ufffd"'),
        (b"", b'""'),
        (b'{"n": 1.0E+2, "n": 2}', b'{"n": 1.0E+2, "n": 2}'),
    ],
)
def test_a_body_that_is_no_strict_json_is_mended(body: bytes, line: bytes) -> None:
    """What every parser reads is left alone, duplicate keys included."""
    assert verbatim(body) == line


@given(
    st.recursive(
        st.none() | st.integers() | st.text() | st.floats(allow_nan=False),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
    st.sampled_from([None, 1, "\t"]),
)
def test_any_body_becomes_one_line_of_the_same_json(
    value: object, indent: int | str | None
) -> None:
    text = json.dumps(value, indent=indent).replace("Infinity", "1e999")
    found = verbatim(text.encode())
    assert b"\n" not in found
    assert json.loads(found) == json.loads(text)
