"""The index: saved, opened, damaged, compared, asked by row, number and id."""

import dataclasses
import os
import stat
import struct
from hashlib import blake2b
from pathlib import Path

import pytest
from itemfile_cases import numbers, scanned, written

from runner.errors import StateDamaged, StateTooNew, StoreError
from runner.itemfile import Difference, ItemIndex, id_digest
from runner.itemfile.layout import HEADER_BYTES, RECORD_BYTES


def _index(folder: Path, *ids: str, known: ItemIndex | None = None) -> ItemIndex:
    lines = [b'{"id":"%s"}' % item_id.encode() for item_id in ids]
    return scanned(written(folder, *lines), known=known).index


def _refs(index: ItemIndex) -> list[object]:
    return [index.ref(row) for row in range(len(index))]


def test_a_saved_index_opens_as_it_was(tmp_path: Path) -> None:
    old = _index(tmp_path, "a", "b", "c")
    index = _index(tmp_path, "c", "d", "a", known=old)
    path = tmp_path / "items.index"

    index.save(path)
    opened = ItemIndex.open(path)

    assert _refs(index) == _refs(opened)
    assert index.next_number == opened.next_number == 4
    assert index.in_number_order is opened.in_number_order is False


def test_an_item_takes_52_bytes_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "items.index"

    _index(tmp_path, "a", "b").save(path)

    assert path.stat().st_size == HEADER_BYTES + 2 * 52
    assert RECORD_BYTES == 52


def test_only_its_owner_may_read_a_saved_index(tmp_path: Path) -> None:
    path = tmp_path / "items.index"
    before = os.umask(0)
    try:
        _index(tmp_path, "a").save(path)
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_saving_again_leaves_no_temp_file_and_an_open_index_readable(
    tmp_path: Path,
) -> None:
    path = tmp_path / "items.index"
    _index(tmp_path, "a", "b").save(path)
    first = ItemIndex.open(path)
    before = _refs(first)

    _index(tmp_path, "c").save(path)

    assert before == _refs(first)
    assert len(ItemIndex.open(path)) == 1
    assert {"items.index", "items.jsonl"} == {p.name for p in tmp_path.iterdir()}


def test_an_index_that_cannot_be_saved_is_a_store_error(tmp_path: Path) -> None:
    index = _index(tmp_path, "a")

    with pytest.raises(StoreError, match="cannot be written"):
        index.save(tmp_path / "gone" / "items.index")


def test_every_flipped_bit_is_refused_as_damage(tmp_path: Path) -> None:
    path = tmp_path / "items.index"
    _index(tmp_path, "a", "b").save(path)
    good = path.read_bytes()

    for position in range(len(good)):
        for bit in (0, 3, 7):
            bad = bytearray(good)
            bad[position] ^= 1 << bit
            path.write_bytes(bad)
            with pytest.raises(StateDamaged):
                ItemIndex.open(path)


def test_every_truncation_and_every_tail_is_refused_as_damage(tmp_path: Path) -> None:
    path = tmp_path / "items.index"
    _index(tmp_path, "a", "b").save(path)
    good = path.read_bytes()

    for bad in [good[:n] for n in range(len(good))] + [good + b"\0", good + good]:
        path.write_bytes(bad)
        with pytest.raises(StateDamaged):
            ItemIndex.open(path)


def test_another_file_or_none_is_refused_as_damage(tmp_path: Path) -> None:
    path = tmp_path / "items.index"
    with pytest.raises(StateDamaged, match="No such file"):
        ItemIndex.open(path)
    with pytest.raises(StateDamaged):
        ItemIndex.open(tmp_path)
    path.write_bytes(b'{"id":1}\n' * 100)
    with pytest.raises(StateDamaged, match="its header"):
        ItemIndex.open(path)


def _resealed(content: bytes, at: int, field: bytes) -> bytes:
    fields = bytearray(content[:48])
    fields[at : at + len(field)] = field
    seal = blake2b(fields, digest_size=16).digest()
    return bytes(fields) + seal + content[HEADER_BYTES:]


def test_an_index_of_a_newer_version_is_told_from_a_damaged_one(tmp_path: Path) -> None:
    path = tmp_path / "items.index"
    _index(tmp_path, "a").save(path)
    path.write_bytes(_resealed(path.read_bytes(), 8, struct.pack("<I", 2)))

    with pytest.raises(StateTooNew, match="newer version of runner"):
        ItemIndex.open(path)


@pytest.mark.parametrize(
    ("at", "field", "why"),
    [
        (0, b"whatever", "no item index"),
        (16, struct.pack("<Q", 3), "size"),
        (16, struct.pack("<Q", 2**63), "size"),
        (32, b"\0" * 16, "checksum"),
    ],
)
def test_a_header_that_contradicts_its_file_is_refused(
    at: int, field: bytes, why: str, tmp_path: Path
) -> None:
    path = tmp_path / "items.index"
    _index(tmp_path, "a", "b").save(path)
    path.write_bytes(_resealed(path.read_bytes(), at, field))

    with pytest.raises(StateDamaged, match=why):
        ItemIndex.open(path)


def test_rows_are_found_by_number_in_a_first_file(tmp_path: Path) -> None:
    index = _index(tmp_path, "a", "b", "c")

    assert [index.row_of_number(n) for n in (0, 1, 2, 3, -1)] == [0, 1, 2, None, None]


def test_rows_are_found_by_number_when_items_were_removed(tmp_path: Path) -> None:
    """Numbers 1, 3 and 4 in rising order: gaps, but in order."""
    old = _index(tmp_path, "a", "b", "c", "d")
    index = _index(tmp_path, "b", "d", "e", known=old)

    assert numbers(index) == [1, 3, 4]
    assert index.in_number_order
    assert [index.row_of_number(n) for n in range(6)] == [None, 0, None, 1, 2, None]


def test_rows_are_found_by_number_when_items_moved(tmp_path: Path) -> None:
    old = _index(tmp_path, "a", "b", "c")
    index = _index(tmp_path, "new", "c", "a", known=old)

    assert not index.in_number_order
    assert [index.row_of_number(n) for n in range(5)] == [2, None, 1, 0, None]


@pytest.mark.parametrize("row", [-1, 2, 10**12])
def test_a_row_that_is_not_there_is_an_index_error(row: int, tmp_path: Path) -> None:
    index = _index(tmp_path, "a", "b")

    for ask in (
        index.ref,
        index.number,
        index.line,
        index.fingerprint,
        index.id_digest,
    ):
        with pytest.raises(IndexError):
            ask(row)


def test_an_item_is_found_by_its_id_before_and_after_saving(tmp_path: Path) -> None:
    index = _index(tmp_path, *[str(n) for n in range(1000)])
    index.save(tmp_path / "items.index")

    for each in (index, ItemIndex.open(tmp_path / "items.index")):
        assert [each.find_id(id_digest(i)) for i in ("0", "517", "999")] == [
            0,
            517,
            999,
        ]
        assert each.find_id(id_digest("1000")) is None


def test_bytes_that_look_like_an_id_but_stand_elsewhere_are_not_found(
    tmp_path: Path,
) -> None:
    index = _index(tmp_path, "a", "b")

    assert index.find_id(index.fingerprint(0)) is None
    assert index.find_id(index.id_digest(0)[1:] + index.fingerprint(0)[:1]) is None


def test_a_table_finds_every_id_and_no_other(tmp_path: Path) -> None:
    index = _index(tmp_path, *[str(n) for n in range(3000)])

    table = index.table()

    assert list(range(3000)) == [table.find(id_digest(str(n))) for n in range(3000)]
    assert {None} == {table.find(id_digest(n)) for n in range(3000)}


def test_a_difference_counts_what_was_kept_changed_added_and_removed(
    tmp_path: Path,
) -> None:
    old = scanned(
        written(tmp_path, b'{"id":0}', b'{"id":1}', b'{"id":2}', b'{"id":3}')
    ).index
    new = scanned(
        written(tmp_path, b'{"id":0}', b"", b'{"id":1,"x":1}', b'{"id":9}')
    ).index

    assert old.difference(new) == Difference(
        unchanged=1, changed=1, new=1, removed=2, reordered=False, first_lines=(3, 4)
    )


def test_a_difference_names_ten_lines_at_most(tmp_path: Path) -> None:
    old = _index(tmp_path, "a")
    new = _index(tmp_path, *[str(n) for n in range(1000)])

    assert tuple(range(1, 11)) == old.difference(new).first_lines


def test_the_same_items_in_another_order_differ_by_their_order_only(
    tmp_path: Path,
) -> None:
    difference = _index(tmp_path, "a", "b").difference(_index(tmp_path, "b", "a"))

    expected = Difference(
        unchanged=2, changed=0, new=0, removed=0, reordered=True, first_lines=()
    )
    assert expected == difference
    assert not difference.is_none


def test_the_same_file_written_with_other_line_ends_is_no_difference(
    tmp_path: Path,
) -> None:
    old = _index(tmp_path, "a", "b")
    new = scanned(written(tmp_path, b'{"id":"a"}', b"", b'{"id":"b"}', end=b"\r\n"))

    assert old.difference(new.index).is_none


def test_any_single_change_is_a_difference() -> None:
    none = Difference(
        unchanged=5, changed=0, new=0, removed=0, reordered=False, first_lines=()
    )

    assert none.is_none
    assert not dataclasses.replace(none, changed=1).is_none
    assert not dataclasses.replace(none, new=1).is_none
    assert not dataclasses.replace(none, removed=1).is_none
    assert not dataclasses.replace(none, reordered=True).is_none
