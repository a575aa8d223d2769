"""Is this the first line of a CSV file, and how does such a file become JSONL?

Asked only where that line is no item. Must not know files.

Floor: doors and rules. Knows diagnosis.
"""

import re

from runner.itemfile.diagnosis import BadLine

_SEPARATORS = {".csv": ",;\t", ".tsv": "\t,;"}
_NAME = re.compile(r'"[^"]{1,40}"|\w(?:[\w .-]{0,38}\w)?')
"""Of a column. Prose is none: it has a blank behind its commas."""


def as_table(raw: bytes, suffix: str, bad: BadLine) -> BadLine:
    """The same with a hint that converts the file, where it is a table.

    Args:
        raw: The file's first line.
        suffix: Of the file's name: `.csv` and `.tsv` need no further look.
        bad: Why the line is no item.
    """
    line = raw.decode("utf-8", "replace")
    separator = _separator(line, suffix.lower())
    return BadLine(bad.what, _recipe(separator)) if separator else bad


def _separator(line: str, suffix: str) -> str | None:
    """What stands between its columns; None: it is no table."""
    if line.lstrip().startswith(("{", "[")):
        return None
    kinds = _SEPARATORS.get(suffix)
    if kinds:
        return max(kinds, key=line.count)
    return next((kind for kind in ",;\t" if _is_header(line.split(kind))), None)


def _is_header(names: list[str]) -> bool:
    return len(names) > 1 and all(map(_NAME.fullmatch, names))


def _recipe(separator: str) -> str:
    how = "" if separator == "," else f', delimiter="{_escaped(separator)}"'
    file = 'open(sys.argv[1], encoding="utf-8-sig", newline="")'
    return (
        "it looks like CSV: python3 -c 'import csv, json, sys;"
        f" [print(json.dumps(row)) for row in csv.DictReader({file}{how})]'"
        " OLD > NEW makes JSONL of it"
    )


def _escaped(separator: str) -> str:
    return separator.replace("\t", "\\t")
