"""What a reply's rate-limit figures change in what we know of the key.

Limits with their period, other users of the same key, and room that the server
sees and we do not.

Floor: doors and rules. Pure decisions over the key's state. Knows neither cells nor
threads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runner.limiter.daily import Daily
from runner.limiter.headers import DAY_S, MINUTE_S, Meters, ShownLimit
from runner.limiter.keystate import KeyState, request_spacing_of, token_spacing_of
from runner.limiter.pacing import Bucket
from runner.limiter.permits import Permit
from runner.limiter.runstate import RunState

_NOTICEABLE_SHARE = 0.05
"""Of a limit: less is our own requests arriving in another order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What the server counts in the current minute; None: it does not say."""

    used_requests: int | None = None
    used_tokens: int | None = None


def learn(
    key: KeyState,
    run: RunState,
    meters: Meters,
    permit: Permit,
    retry_after_s: float | None,
    now_ns: int,
) -> Learned:
    """Take over limits, make way for other users, note a used-up day."""
    used_requests = _take_over(
        key, run, Daily.REQUESTS, meters.requests, retry_after_s, now_ns
    )
    used_tokens = _take_over(
        key, run, Daily.TOKENS, meters.tokens, retry_after_s, now_ns
    )
    _make_way(key.requests, used_requests, permit.key_requests_before, now_ns)
    _make_way(key.tokens, used_tokens, permit.key_tokens_before, now_ns)
    return Learned(used_requests=used_requests, used_tokens=used_tokens)


def _take_over(
    key: KeyState,
    run: RunState,
    kind: Daily,
    meters: Sequence[ShownLimit],
    retry_after_s: float | None,
    now_ns: int,
) -> int | None:
    """Learn the limits of one kind; how much of the minute the server has counted."""
    is_requests = kind is Daily.REQUESTS
    bucket, own = (
        (key.requests, run.requests) if is_requests else (key.tokens, run.tokens)
    )
    known = {own.limit: MINUTE_S, key.day.limit(kind): DAY_S, bucket.limit: MINUTE_S}
    periods = [_period_s(meter, known) for meter in meters]
    by_minute = [
        m for m, period in zip(meters, periods, strict=True) if period == MINUTE_S
    ]
    for meter, period_s in zip(meters, periods, strict=True):
        if period_s == DAY_S:
            key.day.learn(kind, meter.limit)
            if meter.remaining == 0:
                wait_s = retry_after_s if retry_after_s is not None else meter.reset_s
                key.day.spent(kind, wait_s, now_ns)
    if not by_minute:
        return None
    belief = key.request_belief if is_requests else key.token_belief
    belief.shown(now_ns)
    spacing_of = request_spacing_of if is_requests else token_spacing_of
    limit = min(meter.limit for meter in by_minute)
    bucket.set_limit(limit, spacing_of(limit), now_ns)
    used = [m.limit - m.remaining for m in by_minute if m.remaining is not None]
    return max(used, default=None)


def _period_s(meter: ShownLimit, known: Mapping[int, int]) -> int | None:
    """The meter's period; if it is not clear, that `known` of its limit.

    What was clear once stays so. A server that shows its budget as full again by the
    end of each of the first answers leaves it open: then what the user calls a limit
    of a minute is one, for other runs on the key as well.
    """
    period_s = meter.period_s()
    return known.get(meter.limit) if period_s is None else period_s


def _make_way(
    bucket: Bucket, used: int | None, ours_at_grant: int, now_ns: int
) -> None:
    """Leave to others what the server has counted beyond our own.

    The figures are from the request's admission at some servers and from its end
    at others, so they are held against the larger of our own counts.
    """
    if used is None:
        return
    others = used - max(ours_at_grant, bucket.window.total(now_ns))
    is_noticeable = others > max(_NOTICEABLE_SHARE * bucket.limit, 1)
    bucket.make_way(others if is_noticeable else 0, now_ns)
