"""Every kind of line that cannot be an item, and what is said about it."""

import sys
import threading
from pathlib import Path

import pytest
from itemfile_cases import UTF8_BOM, scanned, written

from runner.errors import ItemFileError
from runner.itemfile import MAX_LINE_BYTES, MAX_NESTING, RejectedLine
from runner.itemfile import lines as lines_module

DEEP = 100_000
HALF = "half a character (a lone surrogate): it cannot be sent"
SKIP = "leave bad lines out with --on-bad-line skip"

BAD_LINES: list[tuple[str, bytes, str, str]] = [
    ("cut off", b'{"id":1,"a":', "not JSON at column 13 (Expecting value)", "mend"),
    ("single quotes", b"{'a':1}", "not JSON at column 2 (Expecting property", "mend"),
    ("open string", b'{"a":"b', "not JSON at column 6 (Unterminated string", "mend"),
    ("bad escape", b'{"a":"\\x"}', "not JSON at column 7 (Invalid \\escape)", "mend"),
    ("raw tab", b'{"a":"\t"}', "not JSON at column 7 (Invalid control char", "mend"),
    ("trailing comma", b'{"a":1,}', "not JSON at column 8 (", "mend"),
    ("leading zero", b'{"a":01}', "not JSON at column 7 (Expecting ','", "mend"),
    ("words", b"hello", "not JSON at column 1 (Expecting value)", "mend"),
    ("column counts characters", '{"ä":x}'.encode(), "not JSON at column 6 (", "mend"),
    ("pretty-printed", b"{", "not JSON at column 2 (", "one object a line"),
    ("open list", b"[", "not JSON at column 2 (", "one object a line"),
    ("two objects", b'{"a":1} {"a":2}', "not JSON at column 9 (Extra", "one object"),
    ("old Mac ends", b'{"a":1}\r{"a":2}', "not JSON at column 9 (Extra", "LF"),
    ("BOM inside", UTF8_BOM + b'{"a":1}', "not JSON at column 1 (", "byte order mark"),
    ("NUL outside", b'{"a":1}\0', "a NUL byte at byte 8", "crash"),
    ("NUL inside", b'{"a":"\0"}', "a NUL byte at byte 7", "crash"),
    ("NULs only", b"\0\0\0\0\0", "a NUL byte at byte 1", "crash"),
    ("Latin-1", b'{"a":"\xe4"}', "byte 7 (0xe4) is not UTF-8", "iconv"),
    ("overlong", b'{"a":"\xc0\xaf"}', "byte 7 (0xc0) is not UTF-8", "iconv"),
    ("UTF-8 surrogate", b'{"a":"\xed\xa0\x80"}', "byte 7 (0xed) is not", "iconv"),
    ("a list", b'[{"a":1}]', "a list, not a JSON object", "jq -c '.[]'"),
    ("a string", b'"a"', "a string, not a JSON object", "write"),
    ("a number", b"17", "a number, not a JSON object", "write"),
    ("a float", b"1.5", "a number, not a JSON object", "write"),
    ("true", b"true", "true or false, not a JSON object", "write"),
    ("null", b"null", "null, not a JSON object", "write"),
    ("twice", b'{"a":1,"a":1}', 'key "a" stands twice in one object', "keep one"),
    ("twice inside", b'{"b":[{"a":1,"c":2,"c":3}]}', 'key "c" stands twice', "keep"),
    ("twice by escape", b'{"a":1,"\\u0061":1}', 'key "a" stands twice', "keep one"),
    ("hostile key", b'{"\\u001b[2J":1,"\\u001b[2J":1}', 'key "\\x1b[2J" st', "keep"),
    ("NaN", b'{"a":NaN}', "NaN is not JSON", "null"),
    ("Infinity", b'{"a":Infinity}', "Infinity is not JSON", "null"),
    ("-Infinity", b'{"a":[-Infinity]}', "-Infinity is not JSON", "null"),
    ("overflow", b'{"a":1e999}', "number 1e999 is too large for a float", "string"),
    ("-overflow", b'{"a":-1e999}', "number -1e999 is too large", "string"),
    ("digits.", b'{"a":' + b"9" * 400 + b".0}", "is too large for a float", "string"),
    ("digits", b'{"a":' + b"9" * 5000 + b"}", "an integer with thousands", "string"),
    ("deep list", b"[" * DEEP + b"]" * DEEP, "nested deeper than 200", "flatten"),
    ("deep object", b'{"a":' * DEEP + b"1" + b"}" * DEEP, "nested deeper", "flatten"),
    ("deep and open", b"[" * DEEP, "nested deeper than 200 levels", "flatten"),
    ("half", b'{"a":"\\ud83d"}', f"\\ud83d is {HALF}", "both halves"),
    ("half a key", b'{"a":{"\\uDE00":1}}', f"\\ude00 is {HALF}", "both halves"),
    ("half in a list", b'{"a":["x","\\ud83d\\ud83d"]}', f"\\ud83d is {HALF}", "both"),
    ("result key", b'{"llm":1}', 'has a "llm" already', "--result-key"),
    ("null id", b'{"id":null}', 'the id in "id" is null', "--id-field"),
    ("list id", b'{"id":[1]}', 'the id in "id" is a list', "--id-field"),
    ("object id", b'{"custom_id":{}}', 'id in "custom_id" is an object', "--id-field"),
    ("long id", b'{"id":"%s"}' % (b"x" * 513), "is longer than 512 b", "--id-field"),
    ("wide id", b'{"id":"%s"}' % ("ä" * 257).encode(), "512 bytes", "shorter"),
    ("long number", b'{"id":%s}' % (b"1" * 513), "is longer than 512", "--id-field"),
]

GOOD_LINES: list[tuple[str, bytes]] = [
    ("spaces around", b' \t{"a":1} \t'),
    ("escaped NUL", b'{"a":"\\u0000"}'),
    ("both halves", b'{"a":"\\ud83d\\ude00"}'),
    ("a backslash before u", b'{"a":"\\\\ud83d"}'),
    ("line separators", '{"a":"\u2028\u2029\x85"}'.encode()),
    ("same key elsewhere", b'{"a":{"a":1},"b":{"a":1}}'),
    ("result key inside", b'{"a":{"llm":1}}'),
    ("brackets in a string", b'{"a":"' + b"[{" * 5000 + b'"}'),
    ("many flat lists", b'{"a":[' + b"[]," * 5000 + b"[]]}"),
    ("deepest", b'{"a":' + b"[" * (MAX_NESTING - 1) + b"]" * (MAX_NESTING - 1) + b"}"),
    ("longest integer", b'{"a":' + b"9" * 4300 + b"}"),
    ("largest float", b'{"a":1.7976931348623157e308}'),
    ("empty", b"{}"),
    ("empty id", b'{"id":""}'),
    ("longest id", b'{"id":"' + b"x" * 512 + b'"}'),
    ("false id", b'{"id":false}'),
]


def _names(case: tuple[str, bytes] | tuple[str, bytes, str, str]) -> str:
    return case[0]


@pytest.mark.parametrize("case", BAD_LINES, ids=_names)
def test_a_bad_line_stops_the_scan_with_its_number_and_what_to_do(
    case: tuple[str, bytes, str, str], tmp_path: Path
) -> None:
    _, bad, what, hint = case
    path = written(tmp_path, b'{"id":"good"}', b"", bad, b'{"id":"fine"}')

    with pytest.raises(ItemFileError) as raised:
        scanned(path)

    assert raised.value.message.startswith(f"{path}:3: ")
    assert what in raised.value.message
    assert raised.value.hint is not None
    assert hint in raised.value.hint
    assert SKIP in raised.value.hint


@pytest.mark.parametrize("case", BAD_LINES, ids=_names)
def test_a_bad_line_can_be_left_out_and_is_told_with_its_place(
    case: tuple[str, bytes, str, str], tmp_path: Path
) -> None:
    _, bad, what, _ = case
    path = written(tmp_path, b'{"id":"good"}', bad, b'{"id":"fine"}')
    told: list[RejectedLine] = []

    found = scanned(path, on_bad_line="skip", on_rejected=told.append)

    assert [found.index.line(row) for row in range(len(found.index))] == [1, 3]
    assert [(2, 14, len(bad))] == [(r.line, r.offset, r.length) for r in told]
    assert what in told[0].what


@pytest.mark.parametrize("case", GOOD_LINES, ids=_names)
def test_an_unusual_line_is_still_an_item(
    case: tuple[str, bytes], tmp_path: Path
) -> None:
    path = written(tmp_path, case[1])

    assert len(scanned(path).index) == 1


def test_deep_nesting_is_refused_even_when_the_recursion_limit_was_lifted(
    tmp_path: Path,
) -> None:
    """A notebook may have lifted it; the parser would then overrun the C stack."""
    path = written(tmp_path, b'{"a":"\\""}', b'{"a":' + b"[" * 5_000_000)
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(10_000_000)
    try:
        with pytest.raises(ItemFileError, match=r":2: nested deeper than 200 levels"):
            scanned(path)
    finally:
        sys.setrecursionlimit(before)


def test_a_deep_stack_of_callers_gets_an_error_not_a_crash(tmp_path: Path) -> None:
    levels = MAX_NESTING - 1
    path = written(tmp_path, b'{"a":' + b"[" * levels + b"]" * levels + b"}")

    def below(frames: int) -> None:
        if frames:
            below(frames - 1)
        else:
            scanned(path)

    with pytest.raises((ItemFileError, RecursionError)):
        below(sys.getrecursionlimit() - 200)


def test_an_unterminated_string_full_of_escapes_takes_no_time(tmp_path: Path) -> None:
    """Telling strings from structure must not go back over the line."""
    line = b'{"a":"' + b"[{" * 200 + b'\\"' * 1_000_000 + b"\\"
    path = written(tmp_path, line)
    caught: list[ItemFileError] = []

    def run() -> None:
        try:
            scanned(path)
        except ItemFileError as error:
            caught.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(timeout=20)

    what = "not JSON at column 6 (Unterminated string); no line of it is usable"
    assert [f"{path}:1: {what}"] == [error.message for error in caught]


def test_the_message_lists_the_first_ten_bad_lines_and_counts_the_rest(
    tmp_path: Path,
) -> None:
    path = written(tmp_path, b"{}", *[b"nonsense"] * 25)

    with pytest.raises(ItemFileError) as raised:
        scanned(path)

    assert (
        f"{path}:2: not JSON at column 1 (Expecting value) "
        "(bad lines in all: 25; also 3, 4, 5, 6, 7, 8, 9, 10, 11, ...)"
    ) == raised.value.message


def test_when_every_line_is_bad_leaving_them_out_is_no_way_out(tmp_path: Path) -> None:
    path = written(tmp_path, b'{"llm":1}', b'{"llm":2}')

    with pytest.raises(ItemFileError) as raised:
        scanned(path, on_bad_line="skip")

    assert raised.value.message.startswith(f"{path}:1: ")
    assert raised.value.message.endswith("; no line of it is usable")
    assert raised.value.hint == "give the answer another name with --result-key"


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""], ids=["LF", "CRLF", "no end"])
@pytest.mark.parametrize("extra", [0, 1, 2, 3, 1000, 3_000_000])
def test_a_line_over_the_limit_is_bad_and_its_bytes_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: int, end: bytes
) -> None:
    limit = 64
    monkeypatch.setattr(lines_module, "MAX_LINE_BYTES", limit)
    long = b'{"a":"' + b"x" * (limit - 8 + extra) + b'"}'
    path = tmp_path / "items.jsonl"
    path.write_bytes(b'{"id":1}' + (end or b"\n") + long + end)
    if end:
        path.write_bytes(path.read_bytes() + b'{"id":2}')
    told: list[RejectedLine] = []

    found = scanned(path, on_bad_line="skip", on_rejected=told.append)

    offset = 8 + len(end or b"\n")
    expected = [(2, offset, limit + extra)] if extra else []
    assert expected == [(r.line, r.offset, r.length) for r in told]
    last = found.index.ref(len(found.index) - 1)
    if end:
        assert (3, offset + len(long) + len(end)) == (last.line, last.offset)


def test_sixteen_mebibytes_fit_and_one_byte_more_does_not(tmp_path: Path) -> None:
    fitting = b'{"a":"' + b"x" * (MAX_LINE_BYTES - 8) + b'"}'
    path = written(tmp_path, fitting, b" " + fitting)

    with pytest.raises(ItemFileError) as raised:
        scanned(path)

    assert (
        f"{path}:2: 16,777,217 bytes in one line, more than 16,777,216"
    ) == raised.value.message
