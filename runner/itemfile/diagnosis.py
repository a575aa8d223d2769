"""Why is this line no JSON object, in words that help to mend it?

Runs only for lines that failed, so it may look at the bytes again and again.
Must not know files or line numbers.

Floor: doors and rules. Knows nobody.
"""

import json
from typing import Any

_JSON_NAMES = {list: "a list", str: "a string", bool: "true or false"}
_BOM = b"\xef\xbb\xbf"
_ONE_PER_LINE = (
    "one object a line is needed: jq -c . OLD > NEW writes it so (jq -c '.[]' OLD > NEW"
    " where all of them stand in one list)"
)


class BadLine(ValueError):
    """One line cannot be an item: what is wrong, and what to do about it."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


def syntax_error(raw: bytes, error: ValueError) -> BadLine:
    """Say why the line did not parse."""
    if b"\0" in raw:
        return BadLine(
            f"a NUL byte at byte {raw.index(0) + 1}",
            "the file is binary, or a crash has cut it: write this line anew",
        )
    if isinstance(error, UnicodeDecodeError):
        return BadLine(
            f"byte {error.start + 1} (0x{raw[error.start]:02x}) is not UTF-8",
            "convert the file to UTF-8, e.g. iconv -f ISO-8859-1 -t UTF-8 OLD > NEW",
        )
    if isinstance(error, json.JSONDecodeError):
        return BadLine(_where(error), _syntax_hint(raw, error))
    # What is left is int(): "Exceeds the limit (4300 digits) for integer string
    # conversion", see sys.get_int_max_str_digits.
    return BadLine("an integer with thousands of digits", "write it as a string")


def not_an_object(raw: bytes, value: Any) -> BadLine:
    """Say what the line holds instead of an object."""
    name = "null" if value is None else _JSON_NAMES.get(type(value), "a number")
    hint = _ONE_PER_LINE if raw.lstrip().startswith(b"[") else 'write {"text": ...}'
    return BadLine(f"{name}, not a JSON object", hint)


def _where(error: json.JSONDecodeError) -> str:
    return f"not JSON at column {error.pos + 1} ({_complaint(error)})"


def _complaint(error: json.JSONDecodeError) -> str:
    return error.msg.removesuffix(" at").removesuffix(" starting")


def _syntax_hint(raw: bytes, error: json.JSONDecodeError) -> str:
    if raw.startswith(_BOM):
        return "remove the byte order mark: it may only stand at the file's start"
    if raw.strip() in (b"{", b"["):
        return _ONE_PER_LINE
    if error.msg == "Extra data":
        if b"\r" in raw:
            return "lines must end in LF: tr '\\r' '\\n' converts old line ends"
        return _ONE_PER_LINE
    return "mend the line"
