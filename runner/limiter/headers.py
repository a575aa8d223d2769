"""What do a server's rate-limit headers say, as far as they can be believed?

`x-ratelimit-{limit,remaining,reset}-{requests,tokens,project-tokens}` as in
OpenAI's "Rate limits" guide. Resets are Go durations there and plain seconds
elsewhere; what is neither (dates, -1, words) is unknown, never zero.

Floor: doors and rules. Pure text in, numbers out. Knows only the words.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from runner.records import MOST_RETRY_AFTER_S

MINUTE_S = 60
DAY_S = 86_400
_MAX_COUNT = 10**15
_MAX_RESET_S = 2.0 * DAY_S
"""More is not a duration: servers have been seen to send epoch stamps."""
_UNIT_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6}
_NUMBER = re.compile(r"\d{1,15}(?:\.\d{1,12})?", re.ASCII)
_PART = re.compile(r"(\d{1,15}(?:\.\d{1,12})?)(ms|us|µs|h|m|s)", re.ASCII)
_SAID = re.compile(
    r"on (requests|tokens) per (min|day)\b[^:]{0,20}:\s*Limit:?\s*(\d{1,15})"
)
"""The text of OpenAI's 429s: `... on tokens per min (TPM): Limit 30000, Used ...`"""
_AGAIN = re.compile(r"try again in ((?:\d+(?:\.\d+)?(?:ms|us|h|m|s))+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownLimit:
    """One limit as the server shows it."""

    limit: int
    remaining: int | None = None
    reset_s: float | None = None
    """Time until it is full again, not until the next request may go."""
    said_period_s: int | None = None
    """The period, where the server names it in words."""

    def period_s(self) -> int | None:
        """Infer whether the limit is per minute or per day; None: unclear.

        A bucket that refills evenly needs reset = used / limit x period. Real
        headers show 10,000 requests *per day* as limit 10000, remaining 9999,
        reset 8.64s. Resets are rounded (1 ms, 1 s), hence the tolerance; the two
        candidates are a factor of 1,440 apart.
        """
        if self.said_period_s is not None:
            return self.said_period_s
        if self.remaining is None or not self.reset_s or self.remaining >= self.limit:
            return None
        period_s = self.reset_s * self.limit / (self.limit - self.remaining)
        for known_s in (MINUTE_S, DAY_S):
            if 0.75 * known_s <= period_s <= 1.25 * known_s:
                return known_s
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Meters:
    """All limits one reply shows."""

    requests: tuple[ShownLimit, ...] = ()
    tokens: tuple[ShownLimit, ...] = ()
    """The route's and the project's: either may throttle alone."""


def read_meters(headers: Mapping[str, str], message: str = "") -> Meters:
    """Limits in the headers (lower-case names), and in a 429's message."""
    said = {
        kind: _said_meter(int(limit), per)
        for kind, per, limit in _SAID.findall(message)
        if 0 < int(limit) <= _MAX_COUNT
    }
    requests = (_meter(headers, "requests"), said.get("requests"))
    tokens = (
        _meter(headers, "tokens"),
        _meter(headers, "project-tokens"),
        said.get("tokens"),
    )
    return Meters(
        requests=tuple(meter for meter in requests if meter),
        tokens=tuple(meter for meter in tokens if meter),
    )


def exhausted_reset_s(meters: Meters) -> float | None:
    """Longest reset among the limits that are used up; None when none is."""
    resets = [
        meter.reset_s
        for meter in (*meters.requests, *meters.tokens)
        if meter.remaining == 0 and meter.reset_s is not None
    ]
    return min(max(resets), MOST_RETRY_AFTER_S) if resets else None


def said_wait_s(message: str) -> float | None:
    """Seconds of `Please try again in 644ms`, at most 15 minutes; None: not said."""
    again = _AGAIN.search(message)
    seconds = duration_s(again[1]) if again else None
    return None if seconds is None else min(seconds, MOST_RETRY_AFTER_S)


def duration_s(text: str) -> float | None:
    """Read `6m0s`, `12ms`, `1h2m3.5s` or plain seconds; anything else is None."""
    text = text.strip()
    seconds = _number(text)
    if seconds is None:
        parts = _PART.findall(text)
        if not parts or "".join(n + unit for n, unit in parts) != text:
            return None
        seconds = math.fsum(float(n) * _UNIT_S[unit] for n, unit in parts)
    return seconds if seconds <= _MAX_RESET_S else None


def _said_meter(limit: int, per: str) -> ShownLimit:
    if per == "min":
        return ShownLimit(limit=limit, said_period_s=MINUTE_S)
    # Only a used-up day is ever spoken of.
    return ShownLimit(limit=limit, remaining=0, said_period_s=DAY_S)


def _meter(headers: Mapping[str, str], kind: str) -> ShownLimit | None:
    limit = _count(headers.get(f"x-ratelimit-limit-{kind}", ""))
    if not limit:
        return None
    return ShownLimit(
        limit=limit,
        remaining=_count(headers.get(f"x-ratelimit-remaining-{kind}", "")),
        reset_s=duration_s(headers.get(f"x-ratelimit-reset-{kind}", "")),
    )


def _count(text: str) -> int | None:
    number = _number(text)
    return None if number is None or number > _MAX_COUNT else int(number)


def _number(text: str) -> float | None:
    text = text.strip()
    return float(text) if _NUMBER.fullmatch(text) else None
