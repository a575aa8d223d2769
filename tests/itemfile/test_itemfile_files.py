"""Files that cannot be read as items, and spellings of files that can."""

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest
from itemfile_cases import UTF8_BOM, needs_proc, scanned, written

from runner.errors import ItemFileError
from runner.itemfile import ItemReader, digest_of, refuse_nearly_batch
from runner.records import Item

ITEM = '{"a": "x"}\n'

UNREADABLE: list[tuple[str, bytes, str, str]] = [
    ("empty", b"", "holds no items", "one JSON object a line"),
    ("BOM only", UTF8_BOM, "holds no items", "one JSON object a line"),
    ("blank", b"\n \r\n\t\n", "holds no items", "one JSON object a line"),
    ("UTF-16 BOM", ITEM.encode("utf-16"), "looks like UTF-16", "iconv -f UTF-16 -t"),
    ("UTF-16LE", ITEM.encode("utf-16-le"), "looks like UTF-16LE", "iconv -f UTF-16LE"),
    ("UTF-16BE", ITEM.encode("utf-16-be"), "looks like UTF-16BE", "iconv -f UTF-16BE"),
    ("UTF-32 BOM", ITEM.encode("utf-32"), "looks like UTF-32", "iconv -f UTF-32 -t"),
    ("UTF-32LE", ITEM.encode("utf-32-le"), "looks like UTF-32LE", "iconv -f UTF-32LE"),
    ("UTF-32BE", ITEM.encode("utf-32-be"), "looks like UTF-32BE", "iconv -f UTF-32BE"),
    ("gzip", b"\x1f\x8b\x08\x00", "is packed (gzip)", "unpack"),
    ("zstd", b"\x28\xb5\x2f\xfd\x00", "is packed (zstd)", "unpack"),
    ("zip", b"PK\x03\x04", "is packed (zip)", "unpack"),
]


@pytest.mark.parametrize("on_bad_line", ["stop", "skip"])
@pytest.mark.parametrize("case", UNREADABLE, ids=lambda case: case[0])
def test_a_file_that_holds_no_json_lines_is_refused_as_what_it_is(
    case: tuple[str, bytes, str, str], on_bad_line: str, tmp_path: Path
) -> None:
    _, content, what, hint = case
    path = tmp_path / "items.jsonl"
    path.write_bytes(content)

    with pytest.raises(ItemFileError) as raised:
        scanned(path, on_bad_line=on_bad_line)

    assert f"{path} {what}" == raised.value.message
    assert raised.value.hint is not None
    assert hint in raised.value.hint


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "itmes.jsonl"

    with pytest.raises(ItemFileError) as raised:
        scanned(path)

    assert f"{path}: no such file" == raised.value.message


def test_a_directory_is_not_an_items_file(tmp_path: Path) -> None:
    with pytest.raises(ItemFileError, match="is a directory"):
        scanned(tmp_path)


def test_a_fifo_is_refused_at_once_though_nobody_writes_to_it(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    os.mkfifo(path)

    with pytest.raises(ItemFileError, match="is a pipe or a device, not a file"):
        scanned(path)


@needs_proc
def test_a_refused_file_is_not_left_open(tmp_path: Path) -> None:
    """The debt would be paid by the run that follows, in descriptors."""
    descriptors = Path("/proc/self/fd")
    before = len(list(descriptors.iterdir()))
    for _ in range(10):
        with pytest.raises(ItemFileError):
            scanned(tmp_path)

    assert before == len(list(descriptors.iterdir()))


def test_a_device_is_refused() -> None:
    with pytest.raises(ItemFileError, match="is a pipe or a device, not a file"):
        scanned(Path("/dev/zero"))


def test_an_unreadable_file_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The superuser may read everything, so the refusal is played."""

    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)

    with pytest.raises(ItemFileError, match=r"cannot be read \(Permission denied\)"):
        scanned(tmp_path / "items.jsonl")


@needs_proc
def test_a_failing_disk_is_told_as_such(tmp_path: Path) -> None:
    """/proc/self/mem is a regular file whose first page gives EIO."""
    with pytest.raises(ItemFileError, match=r"cannot be read \(Input/output error\)"):
        scanned(Path("/proc/self/mem"))


def test_a_path_with_control_characters_cannot_take_over_the_terminal(
    tmp_path: Path,
) -> None:
    with pytest.raises(ItemFileError) as raised:
        scanned(tmp_path / "a\x1b]52;c;x\x07\u202e")

    assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    "content",
    [
        b'{"id":1}\n{"id":2}\n',
        b'{"id":1}\n{"id":2}',
        b'{"id":1}\r\n{"id":2}\r\n',
        b'{"id":1}\n{"id":2}\r',
        UTF8_BOM + b'{"id":1}\n{"id":2}\n',
        b'\n\r\n\r\r\n{"id":1}\n \t\n\n{"id":2}\n\n',
    ],
    ids=["LF", "no last LF", "CRLF", "CR at the end", "BOM", "blank lines"],
)
def test_the_spelling_of_a_file_does_not_change_its_items(
    content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "items.jsonl"
    path.write_bytes(content)
    seen: list[Item] = []

    index = scanned(path, check=seen.append).index

    assert [item.raw for item in seen] == [b'{"id":1}', b'{"id":2}']
    with ItemReader(path, index, None) as reader:
        assert seen == [reader.read(row) for row in range(len(index))]


def test_offsets_count_the_byte_order_mark_and_carriage_returns(tmp_path: Path) -> None:
    path = written(tmp_path, UTF8_BOM + b'{"id":1}', b"", b'{"id":2}', end=b"\r\n")

    index = scanned(path).index

    places = [(r.line, r.offset, r.length) for r in map(index.ref, range(2))]
    assert places == [(1, 3, 8), (3, 15, 8)]


def test_a_line_separator_inside_a_string_ends_no_line(tmp_path: Path) -> None:
    path = written(tmp_path, '{"a":"one\u2028two\x85three"}'.encode("utf-8"))

    assert scanned(path).lines == 1


def test_the_digest_of_the_scan_is_that_of_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, *[b'{"id":%d}' % n for n in range(100_000)])

    digest = scanned(path).digest

    assert digest_of(path) == digest
    assert path.stat().st_size == digest.size


def test_the_digest_is_plain_sha256(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_bytes(b"abc")

    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert expected == digest_of(path).sha256


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, *[b'{"id":%d}' % n for n in range(10)])

    def append(item: Item) -> None:
        if item.ref.row == 5:
            with path.open("ab") as file:
                file.write(b"{}\n")

    with pytest.raises(ItemFileError, match="changed while it was being read"):
        scanned(path, check=append)


def test_a_file_that_grows_by_more_lines_than_were_counted_is_refused(
    tmp_path: Path,
) -> None:
    text = b"x" * 4000
    path = written(tmp_path, *[b'{"id":%d,"a":"%s"}' % (n, text) for n in range(900)])

    def append(item: Item) -> None:
        if item.ref.row == 0:
            with path.open("ab") as file:
                file.writelines(b'{"id":"more%d"}\n' % n for n in range(1000))

    with pytest.raises(ItemFileError, match="changed while it was being read"):
        scanned(path, check=append)


TABLES: list[tuple[str, str]] = [
    ("tickets.csv", "number,text\n1,{cell}\n2,no\n"),
    ("tickets.CSV", "text\n{cell}\nno\n"),
    ("tickets.csv", "number;text\n1;{cell}\n2;no\n"),
    ("tickets.tsv", "number\ttext\n1\t{cell}\n2\tno\n"),
    ("tickets.jsonl", "number,text\n1,{cell}\n2,no\n"),
    ("tickets.txt", '"my number";"text"\n1;{cell}\n2;no\n'),
    ("tickets", "my number\ttext\n1\t{cell}\n2\tno\n"),
]


@pytest.mark.parametrize(("name", "table"), TABLES)
def test_a_table_is_told_the_line_that_makes_items_of_it(
    name: str, table: str, tmp_path: Path
) -> None:
    """Typed as it stands, it does so, with what Excel writes before the first byte."""
    cell = 'say ""ä, b"";\nand go'
    old, new = tmp_path / name, tmp_path / "new.jsonl"
    old.write_text(table.format(cell=f'"{cell}"'), encoding="utf-8-sig")
    with pytest.raises(ItemFileError) as raised:
        scanned(old)
    hint = raised.value.hint or ""
    recipe = hint.removeprefix("it looks like CSV: ")
    recipe = recipe.removesuffix(" makes JSONL of it")
    recipe = recipe.replace("OLD", shlex.quote(str(old)))
    recipe = recipe.replace("NEW", shlex.quote(str(new)))

    subprocess.run(recipe, shell=True, check=True)

    texts = [json.loads(line)["text"] for line in new.read_text().splitlines()]
    assert [cell.replace('""', '"'), "no"] == texts


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("items.jsonl", "hello, world\n"),
        ("items.jsonl", "{'a': 1, 'b': 2}\n"),
        ("items.csv", '{"a": 1,}\n'),
        ("items.csv", '{"a": 1}\nnumber,text\n'),
    ],
)
def test_what_is_no_table_is_not_called_one(
    name: str, content: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(content)

    with pytest.raises(ItemFileError) as raised:
        scanned(path)

    assert "CSV" not in str(raised.value)


_BATCH: dict[str, object] = {
    "custom_id": "a",
    "method": "POST",
    "url": "/v1/embeddings",
    "body": {"model": "m"},
}


@pytest.mark.parametrize(
    ("change", "amiss"),
    [
        ({"custom_id": 7}, '"custom_id" is 7, not a text'),
        ({"custom_id": ...}, '"custom_id" is missing'),
        ({"method": "GET"}, '"method" is "GET", not "POST"'),
        ({"body": "{}"}, '"body" is "{}", not an object'),
        (
            {"url": "https://api.x.com/v1/responses"},
            '"url" is "https://api.x.com/v1/responses", not "/v1/responses"',
        ),
        ({"url": "embeddings"}, '"url" is "embeddings", not "/v1/embeddings"'),
        ({"url": "/v2/chat"}, '"url" is "/v2/chat", not "/v1/chat/completions"'),
        ({"url": "https://["}, '"url" is "https://[", not "/v1/chat/completions"'),
        ({"method": ..., "url": ...}, '"method" is missing; "url" is missing'),
    ],
)
def test_what_is_nearly_a_batch_line_is_told_what_is_amiss(
    change: dict[str, object], amiss: str, tmp_path: Path
) -> None:
    line = {k: v for k, v in {**_BATCH, **change}.items() if v is not ...}
    path = written(tmp_path, b"", json.dumps(line).encode())

    with pytest.raises(ItemFileError) as raised:
        refuse_nearly_batch(path)

    assert raised.value.message.startswith(f"{path}:2 is not quite an OpenAI Batch")
    assert f"({amiss}" in raised.value.message


@pytest.mark.parametrize(
    "line", [{"text": "a"}, {"custom_id": "a", "text": "b"}, _BATCH]
)
def test_a_batch_line_and_an_item_of_ones_own_have_nothing_amiss(
    line: dict[str, object], tmp_path: Path
) -> None:
    refuse_nearly_batch(written(tmp_path, json.dumps(line).encode()))
