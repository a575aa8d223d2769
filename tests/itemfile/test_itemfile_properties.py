"""What holds for any items file, checked on generated ones."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from itemfile_cases import UTF8_BOM, scanned

from runner.errors import ItemFileError, StateDamaged
from runner.itemfile import ItemIndex, ItemReader, RejectedLine

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
KEYS = st.text(max_size=5).filter(lambda key: key != "id")
"""Lines that chance to share an id would be refused, rightly."""
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=4)


def _encoded(value: object, *, ascii_only: bool) -> bytes:
    return json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")


LINES = st.one_of(
    st.builds(_encoded, OBJECTS, ascii_only=st.booleans()),
    st.builds(_encoded, VALUES, ascii_only=st.booleans()),
    st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b" ")),
    st.sampled_from([b"", b" ", b"\t\r", b"{}", b"[]", b'{"id":null}', b'{"a":NaN}']),
)
ENDS = st.sampled_from([b"\n", b"\r\n"])


@contextmanager
def _file(content: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "items.jsonl"
        path.write_bytes(content)
        yield path


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(LINES, ENDS), min_size=1, max_size=12),
    st.sampled_from([b"", UTF8_BOM]),
    st.sampled_from([b"", b"\n"]),
)
def test_nothing_is_dropped_and_items_read_back_to_the_byte(
    lines: list[tuple[bytes, bytes]], bom: bytes, last: bytes
) -> None:
    """Accepted + rejected + blank = lines, and each has its own bytes."""
    content = b"".join(raw + end for raw, end in lines)
    content = b'{"first":"item"}\n' + content
    content = content.removesuffix(b"\n") + last
    whole = bom + content
    split = content.split(b"\n")
    split = split if split[-1] else split[:-1]
    told: list[RejectedLine] = []
    with _file(whole) as path:
        found = scanned(path, on_bad_line="skip", on_rejected=told.append)
        with ItemReader(path, found.index, None) as reader:
            items = [reader.read(row) for row in range(len(found.index))]
            raws = [reader.raw(row) for row in range(len(found.index))]

    assert len(split) == found.lines
    assert found.lines == len(items) + found.rejected.count + found.blank
    assert len(told) == found.rejected.count
    for item, raw in zip(items, raws, strict=True):
        assert split[item.ref.line - 1].removesuffix(b"\r") == item.raw == raw
        assert json.loads(item.raw) == item.fields
    for bad in told:
        assert (
            split[bad.line - 1].removesuffix(b"\r")
            == (whole[bad.offset : bad.offset + bad.length])
        )


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_items_or_an_error_for_people(content: bytes) -> None:
    with _file(content) as path:
        for on_bad_line in ("stop", "skip"):
            error = _error_of(path, on_bad_line)
            assert error is None or (error.hint and str(error).isprintable())


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.integers() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
        unique_by=lambda value: (type(value), value),
        min_size=1,
        max_size=30,
    ),
    st.data(),
)
def test_an_index_survives_saving_and_no_damage_survives_opening(
    ids: list[int | str], data: st.DataObject
) -> None:
    content = b"".join(json.dumps({"id": i}).encode() + b"\n" for i in ids)
    with _file(content) as path:
        index = scanned(path).index
        saved = path.with_name("items.index")
        index.save(saved)
        good = saved.read_bytes()
        opened = ItemIndex.open(saved)
        assert [index.ref(row) for row in range(len(ids))] == [
            opened.ref(row) for row in range(len(opened))
        ]

        saved.write_bytes(_damaged(good, data))
        with pytest.raises(StateDamaged):
            ItemIndex.open(saved)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.permutations(range(8)), min_size=2, max_size=4), st.data())
def test_over_any_edits_a_number_means_one_item_for_ever(
    versions: list[list[int]], data: st.DataObject
) -> None:
    """Same id and same bytes in consecutive files: same number. Else a new one."""
    owner: dict[int, bytes] = {}
    known: ItemIndex | None = None
    before: dict[bytes, int] = {}
    for order in versions:
        ids = order[: data.draw(st.integers(1, 8))]
        lines = [
            b'{"id":%d,"v":%d}' % (i, data.draw(st.integers(0, 1), label=f"v{i}"))
            for i in ids
        ]
        with _file(b"\n".join(lines)) as path:
            index = scanned(path, known=known).index
        now = {line: index.number(row) for row, line in enumerate(lines)}
        for line, number in now.items():
            assert owner.setdefault(number, line) == line
            assert before.get(line, number) == number
            assert lines[index.row_of_number(number) or 0] == line
        if known:
            difference = known.difference(index)
            assert len(before.keys() & now.keys()) == difference.unchanged
        known, before = index, now


def _error_of(path: Path, on_bad_line: str) -> ItemFileError | None:
    try:
        assert len(scanned(path, on_bad_line=on_bad_line).index) > 0
    except ItemFileError as error:
        return error
    return None


def _damaged(good: bytes, data: st.DataObject) -> bytes:
    kind = data.draw(st.sampled_from(["flip", "cut", "extend", "swap"]))
    at = data.draw(st.integers(0, len(good) - 1))
    if kind == "flip":
        flipped = good[at] ^ data.draw(st.integers(1, 255))
        return good[:at] + bytes([flipped]) + good[at + 1 :]
    if kind == "cut":
        return good[:at]
    if kind == "extend":
        return good + data.draw(st.binary(min_size=1, max_size=60))
    return good[at:] + good[:at] if good[at:] + good[:at] != good else good[1:]
