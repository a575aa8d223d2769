"""Which headers of a reply are worth keeping, and when may one come back?

Floor: doors and rules. Knows only the words.
"""

import email.utils
from collections.abc import Callable, Iterable
from datetime import UTC
from math import isfinite

from runner.records import MOST_RETRY_AFTER_S

_KEPT_PREFIXES = ("x-ratelimit-", "retry-after")
_KEPT = frozenset(
    {
        "x-request-id",
        "openai-processing-ms",
        "date",
        "server",
        "x-should-retry",
        "content-type",
    }
)
_MOST_CHARACTERS = 200
"""Real values are far shorter; what is kept is stored for every attempt."""


def kept(
    headers: Iterable[tuple[str, str]], cleaned: Callable[[str], str]
) -> dict[str, str]:
    """Return rate limits, request id and timing, under lower-case names.

    `cleaned` takes out of a value what must not be kept, before it is cut.
    """
    return {
        name.lower(): cleaned(value)[:_MOST_CHARACTERS]
        for name, value in headers
        if name.lower() in _KEPT or name.lower().startswith(_KEPT_PREFIXES)
    }


def retry_after_s(headers: dict[str, str], now_unix_s: float) -> float | None:
    """Return the seconds a server asked to wait, at most 900; None: nothing usable.

    `retry-after-ms` (OpenAI, Azure) wins over `retry-after`, which may be seconds,
    a fraction, or an HTTP date (RFC 9110, 10.2.3). A date is measured from the
    reply's own `date`, so that a wrong clock here does no harm.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return min(milliseconds / 1000, MOST_RETRY_AFTER_S)
    asked = headers.get("retry-after")
    wait_s = _number(asked)
    if wait_s is None:
        wait_s = _until(asked, _unix_s(headers.get("date")) or now_unix_s)
    return None if wait_s is None else min(wait_s, MOST_RETRY_AFTER_S)


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if isfinite(value) and value >= 0 else None


def _until(date: str | None, now_unix_s: float) -> float | None:
    then = _unix_s(date)
    return None if then is None or then < now_unix_s else then - now_unix_s


def _unix_s(date: str | None) -> float | None:
    try:
        read = email.utils.parsedate_to_datetime(date or "")
        # RFC 9110, 5.6.7: an HTTP date is in UTC, also in the forms that do not say so.
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        # parsedate_to_datetime raises each of these on one garbage or another.
        return None
