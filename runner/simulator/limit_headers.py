"""How do rate limits look in headers?

Owns the shapes seen on real servers: OpenAI's rate-limits guide and threads
535297 and 1268905 of its forum, November 2026.

Floor: simulator. Knows meters.
"""

import math

from runner.simulator.meters import Limit

_MINUTE_MS = 60_000
_HOUR_MS = 3_600_000


def limit_headers(limit: Limit, used: float) -> dict[str, str]:
    """Limit, remaining and reset of one limit.

    Reset is the time until the limit is whole again at its even rate, so that one
    request of 10,000 a day reads `reset 8.64s`; it is not the time to wait.
    """
    used = min(used, limit.amount)
    reset_s = used * limit.period_s / limit.amount
    return {
        f"x-ratelimit-limit-{limit.kind}": str(limit.amount),
        f"x-ratelimit-remaining-{limit.kind}": str(math.floor(limit.amount - used)),
        f"x-ratelimit-reset-{limit.kind}": go_duration(reset_s),
    }


def retry_headers(wait_s: float, instead: str = "") -> dict[str, str]:
    """`retry-after` in whole seconds and `retry-after-ms`, or the given text."""
    if instead:
        return {"retry-after": instead}
    return {
        "retry-after": str(math.ceil(wait_s)),
        "retry-after-ms": str(math.ceil(wait_s * 1000)),
    }


def go_duration(seconds: float) -> str:
    """A duration as Go prints it: `12ms`, `8.64s`, `1m30.5s`, `6m0s`, `2h5m0s`.

    Rounded up to milliseconds, so that waiting that long is long enough.
    """
    left_ms = math.ceil(round(seconds * 1000, 3))
    if left_ms == 0:
        return "0s"
    if left_ms < 1000:  # noqa: PLR2004 (a second)
        return f"{left_ms}ms"
    hours, left_ms = divmod(left_ms, _HOUR_MS)
    minutes, left_ms = divmod(left_ms, _MINUTE_MS)
    text = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{text}{left_ms / 1000:g}s"
