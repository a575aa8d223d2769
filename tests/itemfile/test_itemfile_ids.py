"""Which item is which: ids of every JSON type, made ids, duplicates."""

import time
from pathlib import Path

import pytest
from itemfile_cases import scanned, written

from runner.errors import ItemFileError
from runner.itemfile import ItemReader, id_digest, id_text, possible_digests
from runner.records import Item


def _ids(path: Path, id_field: str | None = None) -> list[object]:
    seen: list[Item] = []
    scanned(path, id_field=id_field, check=seen.append)
    return [item.item_id for item in seen]


def test_custom_id_comes_before_id(tmp_path: Path) -> None:
    path = written(tmp_path, b'{"id":"b","custom_id":"a"}', b'{"id":"c"}')

    assert _ids(path) == ["a", "c"]


def test_the_named_field_is_the_id_and_no_other(tmp_path: Path) -> None:
    path = written(tmp_path, b'{"id":1,"sku":"x"}', b'{"id":1,"sku":"y"}')

    assert _ids(path, "sku") == ["x", "y"]


def test_an_item_without_the_named_field_is_a_bad_line(tmp_path: Path) -> None:
    path = written(tmp_path, b'{"sku":1}', b'{"id":1}')

    with pytest.raises(ItemFileError) as raised:
        scanned(path, id_field="sku")

    assert f'{path}:2: no "sku"' == raised.value.message
    assert raised.value.hint is not None
    assert raised.value.hint.startswith("name a field that all items have")


def test_ids_of_different_json_types_or_normal_forms_are_different_items(
    tmp_path: Path,
) -> None:
    path = written(
        tmp_path,
        b'{"id":1}',
        b'{"id":"1"}',
        b'{"id":1.0}',
        b'{"id":true}',
        b'{"id":"true"}',
        b'{"id":0}',
        b'{"id":false}',
        '{"id":"\u00e9"}'.encode(),
        '{"id":"e\u0301"}'.encode(),
        b'{"id":""}',
    )

    index = scanned(path).index

    assert len({index.id_digest(row) for row in range(len(index))}) == 10


def test_duplicate_ids_are_refused_with_both_lines(tmp_path: Path) -> None:
    path = written(tmp_path, b'{"id":"a"}', b"", b'{"id":"b"}', b'{"id":"a","x":1}')

    with pytest.raises(ItemFileError) as raised:
        scanned(path, on_bad_line="skip")

    assert f"{path}:4: id a is in line 1 already" == raised.value.message
    assert raised.value.hint is not None
    assert "--id-field" in raised.value.hint


def test_of_many_duplicates_ten_are_listed_and_all_are_counted(tmp_path: Path) -> None:
    lines = [b'{"id":%d}' % n for n in range(12)]
    path = written(tmp_path, *lines, *lines)

    with pytest.raises(ItemFileError) as raised:
        scanned(path)

    assert raised.value.message == (
        f"{path}:13: id 0 is in line 1 already (repeated ids in all: 12; also "
        "1 (2 and 14), 2 (3 and 15), 3 (4 and 16), 4 (5 and 17), 5 (6 and 18), "
        "6 (7 and 19), 7 (8 and 20), 8 (9 and 21), 9 (10 and 22), ...)"
    )


def test_an_id_in_a_message_cannot_take_over_the_terminal(tmp_path: Path) -> None:
    line = b'{"id":"\\u001b]0;owned\\u0007\\u202e' + b"x" * 200 + b'"}'
    path = written(tmp_path, line, line)

    with pytest.raises(ItemFileError) as raised:
        scanned(path)

    assert str(raised.value).isprintable()
    assert "x" * 100 not in raised.value.message


@pytest.mark.parametrize(
    ("item_id", "text"),
    [
        ("a-17", "a-17"),
        ("größe", "größe"),
        (17, "17"),
        (1.0, "1.0"),
        (True, "true"),
        ("a\nb\x1b[2J", "a\\nb\\x1b[2J"),
        ("\u202eevil\u2066", "\\u202eevil\\u2066"),
        ("\u2028\u00a0\U000e0001", "\\u2028\\xa0\\U000e0001"),
        ("\ud800", "\\ud800"),
        ("x" * 81, "x" * 79 + "…"),
    ],
)
def test_an_id_is_shown_on_one_line_without_anything_that_does_not_print(
    item_id: str | float, text: str
) -> None:
    assert text == id_text(item_id)


def test_items_without_an_id_are_told_apart_by_bytes_and_copy(tmp_path: Path) -> None:
    path = written(tmp_path, b'{"a":1}', b'{"a":2}', b'{"a":1}', b'{"a":1}')

    first = _ids(path)

    assert len(set(first)) == 4
    assert first == _ids(path)


def test_made_ids_do_not_depend_on_the_other_lines(tmp_path: Path) -> None:
    """Appending or reordering other items must not make a paid item look new."""
    one = _ids(written(tmp_path, b'{"a":1}', b'{"a":1}'))

    other = _ids(written(tmp_path, b'{"b":1}', b'{"a":1}', b'{"c":1}', b'{"a":1}'))

    assert one == [other[1], other[3]]


def test_a_reader_gives_the_same_made_id_as_the_scan(tmp_path: Path) -> None:
    path = written(tmp_path, *[b'{"a":1}'] * 5)
    index = scanned(path).index

    with ItemReader(path, index, None) as reader:
        assert _ids(path) == [reader.read(row).item_id for row in range(5)]


def test_copies_are_counted_right_when_many_kinds_take_turns(tmp_path: Path) -> None:
    """More kinds than are remembered, so that the next free copy is searched."""
    kinds, rounds = 5000, 5
    path = written(tmp_path, *[b'{"a":%d}' % n for n in range(kinds)] * rounds)

    index = scanned(path).index

    assert kinds * rounds == len({index.id_digest(r) for r in range(len(index))})
    alone = scanned(written(tmp_path, *[b'{"a":7}'] * rounds)).index
    assert [alone.id_digest(n) for n in range(rounds)] == [
        index.id_digest(7 + n * kinds) for n in range(rounds)
    ]


def test_copies_of_lines_before_are_counted_where_no_id_tells_them_apart(
    tmp_path: Path,
) -> None:
    a, b = b'{"a":1}', b'{"a":2}'
    assert 3 == scanned(written(tmp_path, a, b, a, a, b)).copies
    assert 0 == scanned(written(tmp_path, a, b, b'{"a": 1}', b'{"id":1}')).copies


def test_a_hundred_thousand_equal_items_take_no_more_time_than_others(
    tmp_path: Path,
) -> None:
    equal = written(tmp_path, *[b'{"a":"same"}'] * 100_000)
    before = time.process_time()

    index = scanned(equal).index

    assert len(index) == 100_000
    assert time.process_time() - before < 10


@pytest.mark.parametrize(
    ("typed", "item_id"),
    [("1", "1"), ("1", 1), ("1.0", 1.0), ("true", True), ("a", "a"), ("[1]", "[1]")],
)
def test_what_a_person_types_finds_ids_of_every_type(
    typed: str, item_id: str | float
) -> None:
    assert id_digest(item_id) in possible_digests(typed)


def test_what_a_person_types_finds_a_made_id(tmp_path: Path) -> None:
    path = written(tmp_path, b'{"a":1}', b'{"a":2}')
    index = scanned(path).index

    rows = [
        index.find_id(digest)
        for digest in possible_digests(str(_ids(path)[1]))
        if index.find_id(digest) is not None
    ]

    assert rows == [1]


def test_strange_text_finds_nothing_and_breaks_nothing() -> None:
    for text in ("", "\udc80", "null", "9" * 5000, "[" * 100_000, "Z" * 32):
        assert len(possible_digests(text)) == 1
