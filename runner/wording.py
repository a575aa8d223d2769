"""How are numbers, money and times written for a person?

Unknown is said as such, never as 0; a bound is rounded up, a share down, so that
nothing shown is better than the truth.

Floor: words. Knows nobody.
"""

import time
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal

UNKNOWN = "unknown"
_DAY_S, _HOUR_S, _TEN_MINUTES_S, _MINUTE_S = 86_400, 3_600, 600, 60
_CENTS_FROM_USD = 100


def count(number: int, one: str = "", many: str | None = None) -> str:
    """`4,812`, or with a word `1 item`, `4,812 items`."""
    word = one if number == 1 else (f"{one}s" if many is None else many)
    return f"{number:,} {word}" if one else f"{number:,}"


def percent(done: int, total: int) -> str:
    """Rounded down: `100 %` means all of them."""
    return f"{done * 100 // total if total else 100} %"


def usd(amount: Decimal | None, *, is_bound: bool = False) -> str:
    """`$5.00`, `$1.2345`; cents from $100 on; two digits of what is below one."""
    if amount is None:
        return UNKNOWN
    places = _places(amount)
    way = ROUND_CEILING if is_bound else ROUND_HALF_UP
    rounded = amount.quantize(Decimal(1).scaleb(-places), rounding=way)
    whole, point, cents = f"{rounded:,.{places}f}".partition(".")
    return f"${whole}{point}{cents[:2]}{cents[2:].rstrip('0')}"


def bound(amount: Decimal | None) -> str:
    """`at most $0.0201`, of requests that may have been billed."""
    if amount is None:
        return "at a price without a bound: no limit of output tokens, or no price"
    return f"at most {usd(amount, is_bound=True)}"


def duration(seconds: float | None) -> str:
    """`45 s`, `2 min 5 s`, `12 min`, `1 h 5 min`, `2 d 3 h`."""
    if seconds is None:
        return UNKNOWN
    whole = max(0, round(seconds))
    if whole < _MINUTE_S:
        return f"{whole} s"
    if whole < _HOUR_S:
        return _two(whole, _MINUTE_S, "min", 1, "s", is_shown=whole < _TEN_MINUTES_S)
    if whole < _DAY_S:
        return _two(whole, _HOUR_S, "h", _MINUTE_S, "min", is_shown=True)
    return _two(whole, _DAY_S, "d", _HOUR_S, "h", is_shown=True)


def moment(unix_s: float | None) -> str:
    """Local date and time."""
    if unix_s is None:
        return UNKNOWN
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(unix_s))


def time_of_day(unix_s: float) -> str:
    """Local time."""
    return time.strftime("%H:%M:%S", time.localtime(unix_s))


def rate(per_minute: float, what: str, limit: int | None) -> str:
    """`812 requests/min of 1,000`."""
    shown = f"{per_minute:,.0f}"
    if 0 < per_minute < 10:  # noqa: PLR2004 - a digit more for slow runs
        shown = f"{per_minute:,.1f}"
    return f"{shown} {what}/min" + (f" of {limit:,}" if limit else "")


def shortened(text: str, most: int) -> str:
    """The beginning of a text, with `...` where something is left out.

    Cut between words, and what was opened by a bracket is closed.
    """
    if len(text) <= most:
        return text
    cut = text[: most - 3 - _open_brackets(text[: most - 3])]
    words = cut.rpartition(" ")[0]
    if text[len(cut)] != " " and len(words) > len(cut) // 2:
        cut = words
    cut = cut.rstrip(" ,;:(").removesuffix(", e.g.")
    return f"{cut}...{')' * _open_brackets(cut)}"


def _open_brackets(text: str) -> int:
    return max(0, text.count("(") - text.count(")"))


def _places(amount: Decimal) -> int:
    if amount >= _CENTS_FROM_USD or not amount:
        return 2
    if amount >= Decimal("0.01"):
        return 4
    # Two digits of what there is: $0.000012.
    return min(12, 1 - amount.adjusted())


def _two(
    seconds: int, large_s: int, large: str, small_s: int, small: str, *, is_shown: bool
) -> str:
    """At most two units: `1 h 5 min`, `6 h`."""
    larges, rest = divmod(seconds, large_s)
    smalls = rest // small_s
    more = f" {smalls} {small}" if smalls and is_shown else ""
    return f"{larges} {large}{more}"
