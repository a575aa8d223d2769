"""How is the text after an option read?

Every reader takes the option's name, so that its one line can name it. What is
nonsense, negative, zero, not a number or beyond all sense is refused here, before
anything is read or sent.

Floor: faces. Pure.
"""

import json
import math
import re
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import NoReturn

from runner.config import MOST_USD
from runner.errors import UsageError
from runner.fitting import Within
from runner.records import JsonObject

_DAY_S = 86_400.0

_WHOLE = re.compile(r"[0-9]{1,15}(?:_[0-9]{1,15})*")
_PART = r"([0-9]+(?:\.[0-9]+)?)\s*"
_DURATION = re.compile(rf"(?:{_PART}(d|h|min|m|s)\s*)+")
_DURATION_PART = re.compile(rf"{_PART}(d|h|min|m|s)")
_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_UNITS_S = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": _DAY_S}
_SIZE = re.compile(rf"{_PART}(|B|[KMGT]B?|[KMGT]iB)", re.IGNORECASE)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
_AMOUNT = re.compile(r"\$?([0-9]{1,9}(?:\.[0-9]{1,12})?|\.[0-9]{1,12})")


def whole(option: str, bounds: Within) -> Callable[[str], int]:
    """A reader of whole numbers within bounds; 10_000 may be written so."""

    def read(text: str) -> int:
        if not _WHOLE.fullmatch(text.strip()):
            _refuse(option, text, bounds.wanted)
        number = int(text)
        if not bounds.allows(number):
            _refuse(option, text, bounds.wanted)
        return number

    return read


def duration_s(option: str, bounds: Within) -> Callable[[str], float]:
    """A reader of durations: 30s, 10m, 6h, 1d, 1h30m, or plain seconds."""

    def read(text: str) -> float:
        seconds = _seconds(text.strip().lower())
        if seconds is None or not bounds.allows(seconds):
            _refuse(
                option,
                text,
                f"a time from {bounds.low} s to {bounds.high / _DAY_S:g} d",
                "write 30s, 10m, 6h, 1d, or plain seconds",
            )
        return seconds

    return read


def size_bytes(option: str) -> Callable[[str], int]:
    """A reader of sizes: 500MB, 2GiB, plain bytes; K, M, G, T count by 1024."""

    def read(text: str) -> int:
        parts = _SIZE.fullmatch(text.strip())
        if parts is None or len(parts[1]) > 18:  # noqa: PLR2004 - more is no size
            _refuse(option, text, "a size", "write 500MB, 2GiB, or plain bytes")
        unit = parts[2].upper()
        is_decimal = unit in ("KB", "MB", "GB", "TB")
        factor = (1000 if is_decimal else 1024) ** _POWERS[unit.rstrip("IB")]
        return int(Decimal(parts[1]) * factor)

    return read


def usd(option: str) -> Callable[[str], Decimal]:
    """A reader of amounts above zero, in US dollars."""

    def read(text: str) -> Decimal:
        parts = _AMOUNT.fullmatch(text.strip())
        try:
            amount = Decimal(parts[1]) if parts else Decimal(0)
        except InvalidOperation:
            amount = Decimal(0)
        if not 0 < amount <= MOST_USD:
            _refuse(option, text, "an amount of US dollars above 0", "for example 2.50")
        return amount

    return read


def one_of(option: str, words: Sequence[str]) -> Callable[[str], str]:
    """A reader of one word out of few."""

    def read(text: str) -> str:
        if text not in words:
            _refuse(option, text, f"one of {', '.join(words)}")
        return text

    return read


def text_of(option: str, *, is_path: bool = False) -> Callable[[str], str]:
    """A reader of text that is not empty."""

    def read(text: str) -> str:
        if not text.strip() or "\0" in text:
            what = "a path" if is_path else "some text"
            raise UsageError(f"{option} is empty", f"it takes {what}")
        return text

    return read


def file_of(option: str) -> Callable[[str], str]:
    """A reader of a path that can be a file's: never a folder's, never `-`."""

    def read(text: str) -> str:
        path = text_of(option, is_path=True)(text)
        if path == "-":
            raise UsageError(f"{option} - is no file", "three files are written")
        if path.endswith("/") or path.rpartition("/")[2] in (".", ".."):
            raise UsageError(f"{option} {path} is a directory", "name a file in it")
        return path

    return read


def rule_of(option: str) -> Callable[[str], str]:
    """A reader of a rule; the empty text stands for none."""
    read = text_of(option)
    return lambda text: read(text) if text else ""


def choices(option: str, text: str) -> tuple[str, ...]:
    """`a,b,c` as its words."""
    words = tuple(word.strip() for word in text.split(","))
    if not all(words):
        _refuse(option, text, "words with commas between them", f"{option} yes,no")
    if len(set(words)) != len(words):
        _refuse(option, text, "words that differ")
    return words


def params(option: str, texts: Sequence[str]) -> JsonObject:
    """All `KEY=JSON` as one object."""
    found: JsonObject = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name:
            _refuse(option, text, "KEY=JSON", f"for example {option} temperature=0.2")
        if name in found:
            raise UsageError(f"{option} {name} is given twice", "keep one of them")
        found[name] = _json(option, name, value)
    return found


def _json(option: str, name: str, value: str) -> object:
    try:
        return json.loads(value, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError):
        pass  # said below, in words that help
    example = json.dumps(value.strip("\"'"), ensure_ascii=False)
    raise UsageError(
        f"{option} {name}: {value!r} is not JSON",
        f"a string needs quotes: {option} '{name}={example}'",
    )


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text} is too large")
    return number


def _seconds(text: str) -> float | None:
    if _SECONDS.fullmatch(text):
        return float(text)
    if not _DURATION.fullmatch(text):
        return None
    parts = _DURATION_PART.findall(text)
    return sum(float(number) * _UNITS_S[unit] for number, unit in parts)


def _refuse(option: str, text: str, wanted: str, hint: str | None = None) -> NoReturn:
    raise UsageError(f"{option} {text!r} is not {wanted}", hint)
