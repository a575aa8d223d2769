"""What a scan reports: counts, shape, numbers, progress, and who is called."""

import subprocess
import sys
from pathlib import Path

import pytest
from itemfile_cases import UTF8_BOM, needs_proc, numbers, scanned, written

from runner.errors import ItemFileError, TaskError
from runner.itemfile import building as building_module
from runner.itemfile import is_batch_file, is_batch_line, scan
from runner.itemfile import lines as lines_module
from runner.itemfile.layout import MAX_NUMBER
from runner.records import Item

BATCH = (
    b'{"custom_id":"%d","method":"POST","url":"/v1/chat/completions",'
    b'"body":{"model":"m"}}'
)


def test_accepted_rejected_and_blank_lines_are_all_lines(tmp_path: Path) -> None:
    path = written(tmp_path, b"{}", b"", b"x", b"{}", b" ", b"[]")

    found = scanned(path, on_bad_line="skip")

    assert (
        len(found.index),
        found.rejected.count,
        found.blank,
        found.lines,
    ) == (2, 2, 2, 6)


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ([BATCH % 1], True),
        ([b"", b" ", UTF8_BOM, b"nonsense", b"[]", BATCH % 1, b"{}"], True),
        ([b"{}", BATCH % 1], False),
        ([b"nonsense"], False),
        ([], False),
    ],
)
def test_the_first_usable_line_tells_a_batch_file(
    first: list[bytes], *, expected: bool, tmp_path: Path
) -> None:
    assert is_batch_file(written(tmp_path, *first)) is expected


def test_a_line_over_the_limit_is_passed_over_when_looking_for_a_batch_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines_module, "MAX_LINE_BYTES", 200)
    path = written(tmp_path, b"x" * 5000, BATCH % 1)

    assert is_batch_file(path)


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        ([BATCH % 1, b"", b'{"id":1}', BATCH % 2], "not an OpenAI Batch-API request"),
        ([b'{"id":1}', b"", BATCH % 2, BATCH % 3], "an OpenAI Batch-API request"),
    ],
)
def test_a_mixture_is_refused_at_the_first_line_that_differs(
    lines: list[bytes], what: str, tmp_path: Path
) -> None:
    path = written(tmp_path, *lines)

    with pytest.raises(ItemFileError) as raised:
        scanned(path)

    assert raised.value.message.startswith(f"{path}:3: {what}, as ")


@pytest.mark.parametrize(
    "change",
    [
        {"custom_id": 1},
        {"method": "GET"},
        {"method": None},
        {"url": "/v2/chat/completions"},
        {"url": 7},
        {"body": "text"},
        {"body": None},
    ],
)
def test_a_batch_line_needs_all_four_fields(change: dict[str, object]) -> None:
    line = {"custom_id": "a", "method": "POST", "url": "/v1/embeddings", "body": {}}

    assert is_batch_line(line)
    assert not is_batch_line({**line, **change})


@pytest.mark.parametrize(
    "url", ["/chat/completions", "/responses", "/embeddings", "/completions"]
)
def test_a_batch_file_for_azure_needs_no_v1(url: str) -> None:
    assert is_batch_line({"custom_id": "a", "method": "POST", "url": url, "body": {}})


def test_each_item_is_checked_once_in_order(tmp_path: Path) -> None:
    path = written(tmp_path, b'{"id":"a","n":1}', b"", b"bad", b'{"id":"b","n":2}')
    seen: list[Item] = []

    scanned(path, on_bad_line="skip", check=seen.append)

    assert [
        (item.item_id, item.ref.row, item.ref.number, item.ref.line) for item in seen
    ] == [("a", 0, 0, 1), ("b", 1, 1, 4)]
    assert [item.fields for item in seen] == [{"id": "a", "n": 1}, {"id": "b", "n": 2}]


def test_what_the_check_raises_reaches_the_caller_untouched(tmp_path: Path) -> None:
    path = written(tmp_path, b'{"id":"a"}')
    error = TaskError("the prompt names a field that is not there")

    def check(_: Item) -> None:
        raise error

    with pytest.raises(TaskError) as raised:
        scanned(path, check=check)

    assert error is raised.value


def test_nothing_is_checked_behind_a_bad_line_that_stops(tmp_path: Path) -> None:
    path = written(tmp_path, b'{"id":1}', b"bad", b'{"id":2}')
    seen: list[Item] = []

    with pytest.raises(ItemFileError):
        scanned(path, check=seen.append)

    assert [item.item_id for item in seen] == [1]


def test_progress_is_told_from_the_start_with_each_percent_to_the_size(
    tmp_path: Path,
) -> None:
    """Before the first line too: what looks at items may take long, or hang."""
    text = b"x" * 1000
    path = written(tmp_path, *[b'{"id":%d,"a":"%s"}' % (n, text) for n in range(3000)])
    told: list[tuple[int, int]] = []

    scan(
        path,
        id_field=None,
        result_key="llm",
        on_bad_line="stop",
        on_progress=lambda done, total: told.append((done, total)),
    )

    size = path.stat().st_size
    assert (size, size) == told[-1]
    assert {size} == {total for _, total in told}
    assert (0, size) == told[0]
    assert 90 <= len(told) <= 102
    assert told[2][0] - told[1][0] >= size // 100


def test_a_first_scan_numbers_items_by_row(tmp_path: Path) -> None:
    found = scanned(written(tmp_path, *[b'{"id":%d}' % n for n in range(5)]))

    assert numbers(found.index) == [0, 1, 2, 3, 4]
    assert found.index.next_number == 5
    assert found.index.in_number_order


def test_items_keep_their_numbers_and_none_is_given_twice(tmp_path: Path) -> None:
    """0: kept, 1: changed, 2: removed; then a new one; then the first again."""
    old = scanned(written(tmp_path, b'{"id":0}', b'{"id":1}', b'{"id":2}')).index

    new = scanned(
        written(tmp_path, b'{"id":9}', b'{"id":1,"x":1}', b'{"id":0}'), known=old
    )

    assert numbers(new.index) == [3, 4, 0]
    assert new.index.next_number == 5
    assert not new.index.in_number_order


def test_numbers_go_on_after_a_file_that_lost_its_last_items(tmp_path: Path) -> None:
    first = scanned(written(tmp_path, b'{"id":0}', b'{"id":1}')).index
    second = scanned(written(tmp_path, b'{"id":0}'), known=first).index

    third = scanned(written(tmp_path, b'{"id":0}', b'{"id":2}'), known=second).index

    assert numbers(third) == [0, 2]


def test_more_items_than_there_are_numbers_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building_module, "MAX_NUMBER", 2)
    known = scanned(written(tmp_path, b'{"id":0}', b'{"id":1}')).index
    path = written(tmp_path, b'{"id":3}', b'{"id":4}')

    with pytest.raises(ItemFileError, match="more than 2 items in one run"):
        scanned(path, known=known)

    assert MAX_NUMBER < 2**32 - 1


MEASURE = """
import sys
from pathlib import Path
from runner.itemfile import scan

def resident(name):
    with open("/proc/self/status") as status:
        return next(int(l.split()[1]) * 1024 for l in status if l.startswith(name))

rules = dict(id_field=None, result_key="llm", on_bad_line="stop")
scan(Path(sys.argv[1]), **rules)
before = resident("VmRSS")
index = scan(Path(sys.argv[2]), **rules).index
print(resident("VmHWM") - before)
"""


@needs_proc
def test_an_item_costs_at_most_64_bytes_of_memory_while_it_is_indexed(
    tmp_path: Path,
) -> None:
    """Beside buffers of 4 MiB, in a process of its own."""
    small = tmp_path / "small.jsonl"
    small.write_bytes(b'{"id":1}\n')
    count = 200_000
    path = written(tmp_path, *[b'{"id":%d}' % n for n in range(count)])

    measured = subprocess.run(
        [sys.executable, "-c", MEASURE, str(small), str(path)],
        check=True,
        capture_output=True,
        text=True,
    )

    assert int(measured.stdout) <= 64 * count + (4 << 20)


def test_a_million_empty_lines_are_blank_and_no_items(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_bytes(b"\n" * 1_000_000 + b"{}")

    found = scanned(path)

    assert (len(found.index), found.blank) == (1, 1_000_000)
