"""Items read back: by row, from many threads, from a file that changed."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from itemfile_cases import needs_proc, scanned, written

from runner.errors import ItemFileError, RunChanged
from runner.itemfile import ItemIndex, ItemReader
from runner.records import Item


def test_a_reader_gives_back_each_item_as_the_scan_saw_it(tmp_path: Path) -> None:
    path = written(tmp_path, b'{"id":"a", "x":[1.5,null]}', b"", b' {"id":2} ', b"{}")
    seen: list[Item] = []
    index = scanned(path, check=seen.append).index
    index.save(tmp_path / "items.index")

    with ItemReader(path, ItemIndex.open(tmp_path / "items.index"), None) as reader:
        assert seen == [reader.read(row) for row in range(3)]
        assert [item.raw for item in seen] == [reader.raw(row) for row in range(3)]


def test_a_reader_uses_the_named_id_field(tmp_path: Path) -> None:
    path = written(tmp_path, b'{"id":"a","sku":7}')
    index = scanned(path, id_field="sku").index

    with ItemReader(path, index, "sku") as reader:
        assert reader.read(0).item_id == 7


@pytest.mark.parametrize(
    "content",
    [b'{"id":1}\n{"id":3}\n', b'{"id":1}\n{"id":', b'{"id":1}\n', b""],
    ids=["other bytes", "cut inside", "cut before", "emptied"],
)
def test_a_changed_item_is_refused_with_its_line(
    content: bytes, tmp_path: Path
) -> None:
    path = written(tmp_path, b'{"id":1}', b'{"id":2}')
    index = scanned(path).index
    path.write_bytes(content)

    with ItemReader(path, index, None) as reader:
        for read in (reader.read, reader.raw):
            with pytest.raises(RunChanged) as raised:
                read(1)

            assert (
                f"{path}:2: the items file has changed since the run began"
            ) == raised.value.message


def test_items_that_did_not_change_are_still_read(tmp_path: Path) -> None:
    path = written(tmp_path, b'{"id":1}', b'{"id":2}')
    index = scanned(path).index
    path.write_bytes(b'{"id":1}\n{"id":3}\n')

    with ItemReader(path, index, None) as reader:
        assert reader.read(0).item_id == 1


def test_an_editor_that_replaces_the_file_does_not_disturb_an_open_reader(
    tmp_path: Path,
) -> None:
    path = written(tmp_path, b'{"id":1}', b'{"id":2}')
    with ItemReader(path, scanned(path).index, None) as reader:
        (tmp_path / "new").write_bytes(b"something else")
        (tmp_path / "new").replace(path)

        assert [reader.read(row).item_id for row in range(2)] == [1, 2]


def test_many_threads_read_through_one_descriptor(tmp_path: Path) -> None:
    count = 2000
    path = written(tmp_path, *[b'{"id":%d}' % n for n in range(count)])
    with (
        ItemReader(path, scanned(path).index, None) as reader,
        ThreadPoolExecutor(16) as threads,
    ):
        items = list(threads.map(reader.read, range(count)))

    assert list(range(count)) == [item.item_id for item in items]


def test_neighbours_come_with_one_read_and_any_order_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small ones, one that is longer than what is read ahead, small ones."""
    lines = [b'{"id":%d}' % n for n in range(200)]
    lines[100] = b'{"id":100, "x":"%b"}' % (b"x" * 200_000)
    path = written(tmp_path, *lines)
    pread, reads = os.pread, 0

    def counted(*words: int) -> bytes:
        nonlocal reads
        reads += 1
        return pread(*words)

    monkeypatch.setattr(os, "pread", counted)
    with ItemReader(path, scanned(path).index, None) as reader:
        assert lines == [reader.raw(row) for row in range(200)]
        assert reads <= 3
        assert lines[::-1] == [reader.raw(row) for row in reversed(range(200))]


@needs_proc
def test_a_closed_reader_gives_its_descriptor_back(tmp_path: Path) -> None:
    path = written(tmp_path, b'{"id":1}')
    index = scanned(path).index
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(10):
        ItemReader(path, index, None).close()

    assert before == len(list(Path("/proc/self/fd").iterdir()))


def test_a_reader_with_another_id_field_than_the_scan_says_which_line(
    tmp_path: Path,
) -> None:
    path = written(tmp_path, b'{"id":1}')

    with (
        ItemReader(path, scanned(path).index, "sku") as reader,
        pytest.raises(ItemFileError, match=r':1: no "sku"'),
    ):
        reader.read(0)


def test_a_read_error_of_the_disk_is_told_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    path = written(tmp_path, b'{"id":1}')
    with ItemReader(path, scanned(path).index, None) as reader:
        monkeypatch.setattr(os, "pread", fail)
        with pytest.raises(ItemFileError, match=r":1: cannot be read \(Input/output"):
            reader.read(0)


def test_a_file_that_vanished_is_named_when_a_reader_opens_it(tmp_path: Path) -> None:
    path = written(tmp_path, b'{"id":1}')
    index = scanned(path).index
    path.unlink()

    with pytest.raises(RunChanged, match="no such file, and the run needs its items"):
        ItemReader(path, index, None)
