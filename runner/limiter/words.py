"""What holds a run back right now, in words for a person.

Floor: doors and rules. Pure reading of the two states. Knows neither cells nor threads.
"""

from runner.limiter.admission import AHEAD_NS
from runner.limiter.keystate import KeyState
from runner.limiter.pacing import Bucket, Spacing
from runner.limiter.runstate import RunState
from runner.limiter.window import SECOND_NS
from runner.run_status import Pace

_RECENT_NS = 6 * SECOND_NS
"""Longer than dollars are waited for without being told again; see `admission`."""


def pace_of(key: KeyState, run: RunState, now_ns: int) -> Pace:
    """Limits that hold, and the first reason for waiting."""
    waiting_for, until_ns = _reason(key, run, now_ns)
    return Pace(
        rpm_limit=_lower(key.requests.limit, run.requests.limit),
        tpm_limit=_lower(key.tokens.limit, run.tokens.limit),
        rpd_limit=key.day.requests or None,
        is_hurried=run.is_hurried(now_ns),
        waiting_for=waiting_for,
        is_proven=bool(run.is_proven),
        is_out=run.breaker.is_open,
        next_try_s=None if until_ns is None else (until_ns - now_ns) / SECOND_NS,
    )


def _lower(one: int, other: int) -> int | None:
    known = [limit for limit in (one, other) if limit]
    return min(known) if known else None


def _reason(key: KeyState, run: RunState, now_ns: int) -> tuple[str | None, int | None]:
    words, until_ns = _held(key, run, now_ns)
    return (words, until_ns) if words else (_slowed(key, run, now_ns), None)


def _held(key: KeyState, run: RunState, now_ns: int) -> tuple[str | None, int | None]:
    """Everybody waits, until a known moment."""
    if key.day.until_ns > now_ns:
        return key.day.words(), key.day.until_ns
    if key.pause.until_ns > now_ns:
        return "the server asked for a pause (429)", key.pause.until_ns
    if run.breaker.is_open:
        last = run.last_failure_words
        words = f"nothing answers: {last}" if last else "nothing answers"
        return words, max(now_ns, run.breaker.next_probe_ns)
    limits = key.requests.limit or key.tokens.limit
    starts_ns = max(key.starts_ns if limits else 0, _run_starts_ns(run))
    if starts_ns > now_ns:
        return "one minute, since what was sent before is not known", starts_ns
    return None, None


def _slowed(key: KeyState, run: RunState, now_ns: int) -> str | None:
    """Some wait, until something happens."""
    if now_ns - run.budget_wait_ns < _RECENT_NS and run.budget_wait_ns:
        return "answers under way: the rest of --max-cost is promised to them"
    if not run.is_proven and run.lines.requests:
        return "the first answer"
    if run.is_hurried(now_ns):
        return None
    if run.breaker.ramp_due_ns(now_ns) > now_ns:
        return "speeding up again after an outage"
    return _limit_words(key, run, now_ns)


def _run_starts_ns(run: RunState) -> int:
    return run.starts_ns if run.requests.limit or run.tokens.limit else 0


def _limit_words(key: KeyState, run: RunState, now_ns: int) -> str | None:
    at_most = key.cut.per_minute(now_ns)
    slowed = (
        None if at_most is None else f"slowed down to {at_most:,} requests a minute"
    )
    buckets: tuple[tuple[Bucket, Spacing | None, str | None], ...] = (
        (run.requests, run.request_spacing(key), f"--rpm {run.requests.limit}"),
        (run.tokens, run.token_spacing(key), f"--tpm {run.tokens.limit}"),
        (key.requests, key.request_spacing(now_ns), slowed),
        (key.requests, key.request_spacing(now_ns), _of(key.requests, "requests")),
        (key.tokens, key.token_spacing(now_ns), _of(key.tokens, "tokens")),
    )
    for bucket, spacing, words in buckets:
        # All turns that may be taken ahead are taken: somebody is in line.
        if words and bucket.due_ns(1, spacing, now_ns) >= now_ns + AHEAD_NS // 2:
            return words
    return None


def _of(bucket: Bucket, what: str) -> str:
    return f"the key's {bucket.limit:,} {what} a minute"
