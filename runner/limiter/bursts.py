"""May a short job do without the even pace?

A job of 3,000 requests need not take half a minute where the server says that 6,000
may come now. When all that a session has to ask fits into what the server has left,
it goes as fast as there are callers, never more in a window than the limit. The first
refusal for speed ends that: servers exist that promise a minute's worth and refuse a
second's ("Rate limits" guide of OpenAI: a limit may be enforced over shorter spans).

Floor: doors and rules. Pure decisions over the two states. Knows neither cells nor
threads.
"""

from runner.limiter.headers import Meters, ShownLimit
from runner.limiter.keystate import KeyState
from runner.limiter.pacing import Bucket
from runner.limiter.permits import Want
from runner.limiter.runstate import UNKNOWN, RunState
from runner.limiter.window import WINDOW_NS

_PLENTY = 10**15
"""Of tokens, where nobody limits them."""
_SHARE = 0.95
"""Of what is left; somebody else may be asking as well."""


def note_left(run: RunState, meters: Meters) -> None:
    """Remember what an answer says may still come, whatever the limits' period is."""
    run.left_requests = _least(meters.requests)
    run.left_tokens = _least(meters.tokens)


def begin(key: KeyState, run: RunState, requests: int, now_ns: int) -> bool:
    """Let so many requests go before their turn, if there is room for all of them."""
    held_ns = max(key.pause.until_ns, key.day.until_ns)
    is_calm = held_ns <= now_ns and key.cut.per_minute(now_ns) is None
    if not is_calm or run.breaker.is_open or run.left_requests == UNKNOWN:
        return False
    room = run.left_requests - run.lines.requests
    for bucket in (key.requests, run.requests):
        room = min(room, _unused(bucket, room, now_ns))
    room_tokens = _room_tokens(key, run, now_ns)
    sent = max(1, run.requests.window.total(now_ns))
    each_tokens = run.tokens.window.total(now_ns) / sent
    fits = requests <= room * _SHARE and requests * each_tokens <= room_tokens * _SHARE
    if fits:
        run.burst_requests = int(room * _SHARE)
        run.burst_tokens = int(room_tokens * _SHARE)
        run.burst_until_ns = now_ns + WINDOW_NS
    return fits


def covers(run: RunState, want: Want, now_ns: int) -> bool:
    """Whether this request may go before its turn."""
    return run.is_hurried(now_ns) and run.burst_tokens >= want.tokens


def use(run: RunState, want: Want) -> None:
    """One of the burst is sent."""
    run.burst_requests -= 1
    run.burst_tokens -= want.tokens


def end(run: RunState) -> None:
    """Refused: the even pace from here on."""
    run.burst_requests = 0


def forget(run: RunState) -> None:
    """A new session has heard nothing yet."""
    run.left_requests = run.left_tokens = UNKNOWN
    end(run)


def _room_tokens(key: KeyState, run: RunState, now_ns: int) -> int:
    is_told = run.left_tokens != UNKNOWN
    room = run.left_tokens - run.lines.tokens if is_told else _PLENTY
    if key.tokens.limit and not is_told:
        return 0
    for bucket in (key.tokens, run.tokens):
        room = min(room, _unused(bucket, room, now_ns))
    return max(0, room)


def _unused(bucket: Bucket, at_most: int, now_ns: int) -> int:
    if not bucket.limit:
        return at_most
    return bucket.own_limit(now_ns) - bucket.window.total(now_ns)


def _least(meters: tuple[ShownLimit, ...]) -> int:
    left = [meter.remaining for meter in meters if meter.remaining is not None]
    return min(left, default=UNKNOWN)
