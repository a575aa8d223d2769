"""`--format answers`: what was paid for, without what was asked."""

from collections.abc import Callable

from finalizer_cases import Night, lines_of, numbered, result_of, texts

from runner.config import Format
from runner.records import OutcomeState

NightOver = Callable[..., Night]


def test_an_answer_stands_behind_the_id_and_the_line_of_its_item(
    night_over: NightOver,
) -> None:
    """Empty lines count as lines; ids are as they were written."""
    night = night_over(b'{"id":"b"}\n\n{"id":7}\n')
    night.record(0, result=b'{"response":"\\u00fc","valid":true}')
    night.record(1, OutcomeState.INVALID, result=b'{"response":null,"valid":false}')
    summary = night.export(in_format=Format.ANSWERS)
    assert (
        b'{"id":"b","line":1,"response":"\\u00fc","valid":true}\n'
        b'{"id":7,"line":3,"response":null,"valid":false}\n'
    ) == night.processed
    assert (b"", "answers") == (night.failed, summary.format)


def test_an_item_without_an_id_is_told_by_the_id_that_show_takes(
    night_over: NightOver,
) -> None:
    night = night_over(texts("a", "b"))
    told = [night.answer(row).item_id for row in (0, 1)]
    night.export(in_format=Format.ANSWERS)
    assert told == [line["id"] for line in lines_of(night.processed)]


def test_failed_items_and_rejected_lines_are_in_the_failed_file(
    night_over: NightOver,
) -> None:
    night = night_over(b"oops\n" + numbered(1), on_bad_line="skip")
    failed = result_of(None, valid=False)
    night.record(0, OutcomeState.FAILED, reason="no", result=failed)
    night.export(in_format=Format.ANSWERS)
    rejected, item = lines_of(night.failed)
    assert night.failed.startswith(b'{"id":null,"line":1,"response":null,')
    assert night.failed.count(b'"line":1') == 1
    assert (None, 1, False) == (rejected["id"], rejected["line"], rejected["valid"])
    assert rejected["reason"].startswith("items.jsonl:1: not JSON")
    assert {"id": 0, "line": 2, "response": None, "valid": False} == item


def test_nobody_looks_at_the_items(night_over: NightOver) -> None:
    night = night_over(numbered(2))
    night.answer(0)
    night.items_path.unlink()
    night.export(in_format=Format.ANSWERS)
    assert [0] == [line["id"] for line in lines_of(night.processed)]
