"""Bad lines that are left out: kept in a file, bounded in memory."""

from pathlib import Path

import pytest
from itemfile_cases import needs_proc, scanned, written

from runner.errors import ItemFileError, StateDamaged, StoreError
from runner.itemfile import RejectedFile, RejectedLine, read_rejected

LINE = RejectedLine(line=3, offset=17, length=5, what="no JSON \u202e", hint="mend it")


def test_every_rejected_line_is_in_the_file_with_its_place_and_reason(
    tmp_path: Path,
) -> None:
    path = written(tmp_path, b"{}", *[b"x"] * 500, b"[]")
    kept = tmp_path / "rejected.jsonl"

    with RejectedFile(kept) as file:
        found = scanned(path, on_bad_line="skip", on_rejected=file.write)

    told = list(read_rejected(kept))
    assert 501 == found.rejected.count == len(told)
    assert found.rejected.first == told[:10]
    content = path.read_bytes()
    assert {b"x", b"[]"} == {content[r.offset : r.offset + r.length] for r in told}
    assert (told[-1].line, told[-1].what) == (502, "a list, not a JSON object")


def test_a_scan_that_fails_leaves_the_old_file_and_no_temp_file(tmp_path: Path) -> None:
    kept = tmp_path / "rejected.jsonl"
    with RejectedFile(kept) as file:
        file.write(LINE)
    path = written(tmp_path, b"x")

    with pytest.raises(ItemFileError), RejectedFile(kept) as file:
        scanned(path, on_bad_line="skip", on_rejected=file.write)

    assert list(read_rejected(kept)) == [LINE]
    assert {"items.jsonl", "rejected.jsonl"} == {p.name for p in tmp_path.iterdir()}


def test_an_error_of_the_block_is_not_taken_for_one_of_the_file(tmp_path: Path) -> None:
    with (
        pytest.raises(OSError, match="mine") as raised,
        RejectedFile(tmp_path / "rejected.jsonl"),
    ):
        raise OSError(28, "mine")

    assert not isinstance(raised.value, StoreError)


def test_a_disk_that_refuses_is_a_store_error(tmp_path: Path) -> None:
    taken = tmp_path / "folder"
    taken.mkdir()

    with pytest.raises(StoreError, match="cannot be written"):
        RejectedFile(tmp_path / "gone" / "rejected.jsonl").__enter__()
    with pytest.raises(StoreError, match="cannot be written"), RejectedFile(taken):
        pass


@needs_proc
def test_a_disk_that_is_full_while_lines_are_written_is_a_store_error(
    tmp_path: Path,
) -> None:
    """/dev/full, on Linux, refuses what is flushed to it."""

    def fill() -> None:
        with (
            Path("/dev/full").open("wb", buffering=0) as full,
            RejectedFile(tmp_path / "rejected.jsonl") as file,
        ):
            real, file._stream = file._stream, full
            try:
                file.write(LINE)
            finally:
                file._stream = real

    with pytest.raises(StoreError, match="No space left on device"):
        fill()


@pytest.mark.parametrize("content", [b"{", b"{}\n", b"[1]\n", b'{"line":1,"x":2}\n'])
def test_a_damaged_file_of_rejected_lines_is_refused(
    content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "rejected.jsonl"
    path.write_bytes(content)

    with pytest.raises(StateDamaged):
        list(read_rejected(path))


def test_a_missing_file_of_rejected_lines_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StateDamaged):
        list(read_rejected(tmp_path / "rejected.jsonl"))
