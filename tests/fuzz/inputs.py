"""Is every line of any items file accepted, rejected with a reason, or blank?

    python -m fuzz.inputs 500 50000

So many ugly files and so many mutated lines. Accepted + rejected + blank must be all
lines; what is accepted reads back to the byte; nothing but an error for people.
"""

import argparse
import json
import random
import re
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from runner.errors import ItemFileError
from runner.itemfile import ItemReader, RejectedLine, Scan, scan

_LINES_A_FILE = 500
_MOST_MIB = 700
_BOM = b"\xef\xbb\xbf"
_GOOD = (
    b'{"id": 1, "text": "one"}',
    '{"id": "ü", "text": "zwei\u2028drei\u0085"}'.encode(),
    b'{"text": "\\ud83d\\ude00", "n": [1, 2.5e3, null, true, {"a": {}}]}',
    b'{"id": -5, "long": "' + b"x" * 3_000 + b'"}',
)
_ID = re.compile(rb'"id": (?:[-0-9]+|"[^"]*")')
_BITS = (
    *(b"\0", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xc0\xaf", _BOM),
    *(b"\r", b"\x0b", b"\x0c", b"\x1e", b"\t", "\u2028".encode(), "\u0085".encode()),
    *(
        b"NaN",
        b"-Infinity",
        b"1e999",
        b"-1e999",
        b"9" * 5_000,
        b"0" * 50,
        b"0x1",
        b"+1",
    ),
    *(b"[" * 199, b"[" * 5_000, b'{"a":' * 5_000, b"]" * 300, b'"' * 3, b"\\", b"'"),
    *(b'"\\ud800"', b'"\\udc00\\ud800"', b'"i": 7,', b'"i": 7, "i": 7,', b'"llm": 1,'),
    *(
        b"//",
        b"/*",
        b",,",
        b"}{",
        b"\x1b]0;t\x07",
        "\u202e".encode(),
        b"null",
        b" " * 9_999,
    ),
)


def ugly_line(draw: random.Random) -> bytes:
    """A good line with something done to it, or nothing like a line."""
    if draw.random() < 0.05:
        return draw.choice(
            (b"", b" ", b"\t\r", b"[]", b"5", b'""', b"null", b"{}", b"{")
        )
    raw = bytearray(draw.choice(_GOOD))
    if draw.random() < 0.999:
        made = f'"id": "{draw.getrandbits(60):x}"'.encode()
        raw = bytearray(_ID.sub(made, raw))
    for _ in range(draw.choice((0, 1, 1, 1, 3))):
        at = draw.randrange(len(raw) + 1)
        kind = draw.randrange(4)
        if kind == 0:
            raw[at:at] = draw.choice(_BITS)
        elif kind == 1:
            raw[at : at + 1] = bytes([draw.randrange(256)])
        elif kind == 2:
            del raw[at : at + draw.randint(1, 30)]
        else:
            del raw[at:]
    return bytes(raw)


def ugly_file(draw: random.Random) -> bytes:
    """A whole file, ugly in its own way or by its lines."""
    end = draw.choice((b"\n", b"\n", b"\r\n", b"\r", b"\n\n", b"\n\r"))
    lines = [ugly_line(draw) for _ in range(draw.randint(0, 20))]
    content = end.join(lines) + draw.choice((b"", end))
    text = content.decode("utf-8", "replace")
    return draw.choice(
        (
            *(content, content, content, _BOM + content, _BOM + _BOM + content),
            *(
                text.encode("utf-16"),
                text.encode("utf-16-le"),
                text.encode("utf-32-be"),
            ),
            *(text.encode("utf-32"), text.encode("latin-1", "replace"), b"\0" * 99),
            *(
                b"",
                b"\n",
                b"\n \n\t\r\n" * 50,
                _BOM,
                b"\xff",
                b"\x1f\x8b\x08" + content,
            ),
            *(content[: draw.randrange(len(content) + 1)], draw.randbytes(300)),
            _GOOD[3][:-2] + b"x" * (17 << 20) + b'"}\n' + content
            if draw.random() < 0.1
            else content * 3,
        )
    )


def wrong_with(path: Path, content: bytes, seen: Counter[str]) -> Iterator[str]:
    """What the scan of a file should not have said or done."""
    told: list[RejectedLine] = []
    try:
        found = _scanned(path, "skip", told.append)
    except ItemFileError as error:
        if not (error.hint and str(error).isprintable()):
            yield f"error {error!r}"
        seen["refused files"] += 1
        return
    whole = content.removeprefix(_BOM)
    lines = whole.split(b"\n")
    if not lines[-1]:
        lines.pop()
    items = len(found.index)
    seen.update(accepted=items, rejected=found.rejected.count, blank=found.blank)
    if len(lines) != found.lines:
        yield f"{found.lines} lines, not {len(lines)}"
    if found.lines != items + found.rejected.count + found.blank:
        yield f"{items} + {found.rejected.count} + {found.blank} of {found.lines}"
    if len(told) != found.rejected.count:
        yield f"{len(told)} told of {found.rejected.count}"
    for bad in told:
        if not (bad.line and bad.what.isprintable() and bad.hint.isprintable()):
            yield f"line {bad.line} rejected without a reason: {bad.what!r}"
    yield from _read_back(path, found, content, lines)
    if told:
        yield from _stopped(path, told[0].line)


def _scanned(
    path: Path, on_bad_line: str, on_rejected: Callable[[RejectedLine], None]
) -> Scan:
    return scan(
        path,
        id_field=None,
        result_key="llm",
        on_bad_line=on_bad_line,
        on_rejected=on_rejected,
    )


def _read_back(
    path: Path, found: Scan, content: bytes, lines: list[bytes]
) -> Iterator[str]:
    """What is accepted is there to the byte, at its offset."""
    with ItemReader(path, found.index, None) as reader:
        for row in range(len(found.index)):
            item = reader.read(row)
            line = lines[item.ref.line - 1].removesuffix(b"\r")
            at = content[item.ref.offset : item.ref.offset + item.ref.length]
            if not line == item.raw == at or json.loads(line) != item.fields:
                yield f"line {item.ref.line} reads back as others"


def _stopped(path: Path, line: int) -> Iterator[str]:
    """With `stop` the first bad line is named."""
    try:
        _scanned(path, "stop", lambda _: None)
    except ItemFileError as error:
        if f"{path}:{line}: " not in str(error):
            yield f"line {line} is not named: {error}"
    else:
        yield "stop did not stop"


def searched(files: int, lines: int, seed: int) -> tuple[Counter[str], list[str]]:
    """So many files and lines: counts of what was found; what was wrong, by seed."""
    wrong, seen = [], Counter[str]()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        path = Path(folder) / "ugly.jsonl"
        for number in range(files + -(-lines // _LINES_A_FILE)):
            draw = random.Random(f"{seed} {number}")
            if number < files:
                content = ugly_file(draw)
            else:
                raws = (
                    ugly_line(draw).replace(b"\n", b" ") for _ in range(_LINES_A_FILE)
                )
                content = b"".join(raw + b"\n" for raw in raws)
            path.write_bytes(content)
            try:
                found = wrong_with(path, content, seen)
                wrong += [f"{seed} {number}: {what}" for what in found]
            except Exception as error:  # noqa: BLE001 - what is searched for
                wrong.append(f"{seed} {number}: raises {error!r}"[:500])
    return seen, wrong


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="fuzz.inputs", description=__doc__)
    parser.add_argument("files", type=int)
    parser.add_argument("lines", type=int)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    begun_s = time.monotonic()
    seen, wrong = searched(asked.files, asked.lines, asked.seed)
    took_s = time.monotonic() - begun_s
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    most_mib = peak / (1024 if sys.platform == "linux" else 1 << 20)
    print(
        f"{asked.files} files and {asked.lines} lines: {dict(seen)},"
        f" {len(wrong)} wrong,"
        f" at most {most_mib:.0f} MiB, {took_s:.0f} s"
    )
    print("\n".join(wrong[:20]))
    return 1 if wrong or most_mib > _MOST_MIB else 0


if __name__ == "__main__":
    sys.exit(main())
