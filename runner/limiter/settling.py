"""What became of a permit, and what follows from it for everybody.

An answer, a failure, or nothing sent: tokens corrected, dollars settled, the
breaker and the pause told.

Floor: doors and rules. Pure decisions over the two states. Knows neither cells nor
threads.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from runner.limiter import bursts
from runner.limiter.breaker import Failed
from runner.limiter.budget import pico_usd
from runner.limiter.headers import (
    Meters,
    exhausted_reset_s,
    read_meters,
    said_wait_s,
)
from runner.limiter.keystate import KeyState
from runner.limiter.learning import Learned, learn
from runner.limiter.permits import Permit, Want
from runner.limiter.runstate import RunState
from runner.limiter.throttle import Slower
from runner.limiter.window import SECOND_NS
from runner.records import Failure, FailureKind, Usage

_SLOW_DOWN = Slower(to=0.5, growth=0.1)
_REPEATED = Slower(to=0.9, growth=0.02)
_ROUNDS_OF_THE_FULL = 3
"""With no answer between, and pauses that grow: no rate is measured by that."""
_REPEATED_WITHIN_NS = 120 * SECOND_NS
_SHORT_PAUSE_NS = 2 * SECOND_NS
_SHOWN_WHILE_EVEN = 0.03
"""Of a limit of tokens: what a few large requests at once leave as used for a while."""
_REFUSED_FOR_SPEED = frozenset({FailureKind.THROTTLED, FailureKind.SLOW_DOWN})
_FOR_THE_RUN = frozenset({FailureKind.DENIED, FailureKind.NOT_FOUND})
_FOR_GOOD = _FOR_THE_RUN | {FailureKind.REJECTED}
_ALIVE = _REFUSED_FOR_SPEED | _FOR_GOOD
"""The server answered: no outage, whatever it said."""
_SILENT = frozenset({FailureKind.NOT_SENT, FailureKind.TIMEOUT, FailureKind.CUT})
_TOO_LARGE = frozenset({413, 429})
"""How servers refuse what is larger than a limit of tokens."""
_NEVER_COUNTS = _REFUSED_FOR_SPEED | _FOR_THE_RUN | {FailureKind.NOT_SENT}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSaid:
    """What the reply said of speed, read before any lock is taken."""

    meters: Meters
    retry_after_s: float | None = None


def said_with(failure: Failure, headers: Mapping[str, str]) -> ServerSaid:
    """What a failure said of speed: in its headers, or in its words."""
    asked_s = failure.retry_after_s
    if asked_s is None:
        asked_s = said_wait_s(failure.message)
    message = failure.message if failure.kind is FailureKind.THROTTLED else ""
    return ServerSaid(meters=read_meters(headers, message), retry_after_s=asked_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A permit, whose line it is on, and a draw in [0, 1) for this end."""

    permit: Permit
    slot: int
    draw: float


def answered(
    key: KeyState,
    run: RunState,
    ended: Ended,
    *,
    said: ServerSaid,
    usage: Usage | None,
    cost_usd: Decimal | None,
    now_ns: int,
) -> None:
    """Settle an answer; one of unknown cost costs its worst case."""
    permit, want = ended.permit, ended.permit.want
    key.pause.succeeded(permit.epoch)
    if key.cause.answered(permit.granted_ns, now_ns):
        key.cut.lift()
    learned = learn(key, run, said.meters, permit, None, now_ns)
    key.doubt(now_ns)
    _watch_refill(key, learned, usage, now_ns)
    if usage is not None:
        _correct_tokens(key, run, permit, usage, learned.used_tokens, now_ns)
        run.learn_ratio(want.input_tokens_estimate, usage.input_tokens)
    run.note_cost(want.worst_usd, cost_usd)
    _end_line(run, ended, want.worst_usd if cost_usd is None else cost_usd)
    bursts.note_left(run, said.meters)
    run.is_proven = 1
    run.trouble_ns = 0
    _tell_breaker_good(run, permit, now_ns)


def failed(
    key: KeyState,
    run: RunState,
    ended: Ended,
    *,
    failure: Failure,
    said: ServerSaid,
    committed_usd: Decimal,
    now_ns: int,
) -> bool:
    """Settle a failure; whether it counts against the item."""
    permit = ended.permit
    in_flight = max(1, run.lines.requests)
    _end_line(run, ended, committed_usd)
    learn(key, run, said.meters, permit, said.retry_after_s, now_ns)
    is_too_large = _is_too_large(key, permit, failure, now_ns)
    if is_too_large:
        key.token_belief.refused(permit.want.tokens, now_ns)
    if is_too_large or failure.kind is FailureKind.NOT_SENT:
        _take_back(key, run, permit)
    if failure.kind in _REFUSED_FOR_SPEED:
        bursts.end(run)
        key.request_refill.refused(now_ns)
        key.token_refill.refused(now_ns)
        _slow_everybody(key, ended, failure.kind, said, now_ns)
    if failure.kind in _FOR_GOOD:
        run.trouble_ns = 0
    else:
        run.note_trouble(failure.message, now_ns)
    if failure.kind in _ALIVE:
        _tell_breaker_good(run, permit, now_ns)
    else:
        _tell_breaker(run, ended, failure.kind, in_flight, now_ns)
    return counts(failure.kind, permit.want, run)


def counts(kind: FailureKind, want: Want, run: RunState) -> bool:
    """Whether a failure is held against its item, as the run stands now.

    Only while others succeed. Before the session's first answer nobody has, so all
    that counts then is what one item alone is told, or one that the server failed at
    in an earlier session: asking these again must end too.
    """
    if kind in _NEVER_COUNTS:
        return False
    if kind is FailureKind.REJECTED:
        return True
    is_its_own = want.has_failed or run.breaker.is_alone(want.number)
    is_told_it = is_its_own and kind not in _SILENT
    return not run.breaker.is_open and (bool(run.is_proven) or is_told_it)


def is_calm(key: KeyState, run: RunState, now_ns: int) -> bool:
    """Whether the next answer will tell nothing but what it used."""
    is_refused = key.pause.rounds > 0 or key.pause.until_ns > now_ns
    is_troubled = run.trouble_ns > 0 or run.breaker.is_troubled
    return bool(run.is_proven) and not (is_refused or is_troubled)


def given_back(key: KeyState, run: RunState, ended: Ended, now_ns: int) -> None:
    """Settle a permit that was provably not used."""
    _take_back(key, run, ended.permit)
    _end_line(run, ended, Decimal(0))
    if ended.permit.is_probe and run.breaker.is_open:
        run.breaker.drop_probe(now_ns)


def _is_too_large(key: KeyState, permit: Permit, failure: Failure, now_ns: int) -> bool:
    """Whether it was refused for being more than a whole minute allows.

    It had the minute to itself, so that a 429 in any words means this.
    """
    is_more = 0 < key.tokens.limit < permit.want.tokens
    return is_more and failure.status in _TOO_LARGE and key.day.until_ns <= now_ns


def _end_line(run: RunState, ended: Ended, spent_usd: Decimal | None) -> None:
    want = ended.permit.want
    worst_pico = pico_usd(want.worst_usd or Decimal(0))
    spent_pico = pico_usd(spent_usd or Decimal(0))
    run.lines.end(ended.slot, worst_pico, want.tokens, spent_pico)


def _take_back(key: KeyState, run: RunState, permit: Permit) -> None:
    charges, due_ns = permit.charges, permit.granted_ns
    key.requests.take_back(charges.key_requests, due_ns)
    key.tokens.take_back(charges.key_tokens, due_ns)
    run.requests.take_back(charges.run_requests, due_ns)
    run.tokens.take_back(charges.run_tokens, due_ns)


def _watch_refill(
    key: KeyState, learned: Learned, usage: Usage | None, now_ns: int
) -> None:
    """Note what this answer shows as used, beside what it took."""
    if learned.used_requests is not None:
        limit = key.requests.limit
        key.request_refill.saw(learned.used_requests, 1, limit, now_ns)
    if usage is not None and learned.used_tokens is not None:
        took = usage.input_tokens + usage.output_tokens
        key.token_refill.saw(learned.used_tokens, took, key.tokens.limit, now_ns)


def _correct_tokens(
    key: KeyState,
    run: RunState,
    permit: Permit,
    usage: Usage,
    used_tokens: int | None,
    now_ns: int,
) -> None:
    """Bring the charge nearer to what the server counts.

    Upwards always. Downwards only on evidence, and by no more than this answer's
    own overcharge.
    """
    over = permit.want.tokens - usage.input_tokens - usage.output_tokens
    pairs = (
        (key.tokens, key.token_spacing(now_ns)),
        (run.tokens, run.token_spacing(key)),
    )
    if over < 0:
        for bucket, spacing in pairs:
            bucket.charge(-over, spacing, now_ns)
    elif used_tokens is not None:
        unseen = _uncounted_tokens(key, permit, used_tokens)
        for bucket, spacing in pairs:
            if min(over, unseen) > 0:
                at = (permit.granted_ns, now_ns)
                bucket.refund(min(over, unseen), spacing, at)


def _uncounted_tokens(key: KeyState, permit: Permit, used_tokens: int) -> int:
    """Tokens that were charged here, and at the server not, as far as is known.

    One that counts a minute must have counted less than we had charged when the
    request was granted, even if nothing else under way had reached it. One that
    refills evenly shows next to nothing as used, as long as it counts no more than
    we do; else ever more.
    """
    if not key.token_refill.is_known:
        return 0
    if key.token_refill.is_even:
        return int(_SHOWN_WHILE_EVEN * key.tokens.limit) - used_tokens
    return permit.key_tokens_before - used_tokens - permit.others_in_flight_tokens


def _slow_everybody(
    key: KeyState, ended: Ended, kind: FailureKind, said: ServerSaid, now_ns: int
) -> None:
    """Pause the whole fleet, and go on slower where pausing is not enough.

    Not for refusals that come by chance: they concern their request alone.
    """
    asked_s = said.retry_after_s
    if asked_s is None:
        asked_s = exhausted_reset_s(said.meters)
    if kind is FailureKind.SLOW_DOWN:
        key.cause.forget(now_ns)
    else:
        key.cause.refused(ended.permit.granted_ns, asked_s, now_ns)
    if key.cause.is_chance(now_ns):
        return
    pause = key.pause
    went_on_ns = max(pause.until_ns, pause.round_ns)
    per_minute = key.requests.window.per_minute(now_ns, went_on_ns)
    is_new = pause.refused(
        epoch=ended.permit.epoch, asked_s=asked_s, now_ns=now_ns, draw=ended.draw
    )
    if pause.rounds >= _ROUNDS_OF_THE_FULL:
        key.cause.forget(pause.until_ns)
    if not is_new or key.day.until_ns > now_ns:
        return
    is_rare = key.cut.take_spare(key.requests.window.since(went_on_ns))
    is_pause_enough = is_rare and _is_pause_cheap(key, went_on_ns, now_ns)
    if kind is FailureKind.SLOW_DOWN:
        key.cut.cut(_SLOW_DOWN, per_minute, now_ns)
    elif not is_pause_enough and _is_our_pace(key, ended.permit, went_on_ns, now_ns):
        _slow_down(key, per_minute, now_ns)


def _slow_down(key: KeyState, per_minute: float, now_ns: int) -> None:
    """A lower pace, unless it is still to be seen what the last one has changed.

    Never much lower than what is answered: there is room for that.
    """
    cause = key.cause
    if cause.is_open:
        return
    answered_per_minute = cause.answered_per_minute(now_ns)
    if answered_per_minute is None:
        key.cut.cut(_REPEATED, per_minute, now_ns)
        return
    fits = _REPEATED.to * answered_per_minute
    if cause.is_ripe(now_ns):
        key.cut.cut_to(fits, _REPEATED, per_minute, now_ns)
        cause.slowed(now_ns)
    else:
        lower = _REPEATED.to * (key.cut.per_minute(now_ns) or per_minute)
        key.cut.cut_to(max(fits, lower), _REPEATED, per_minute, now_ns)


def _is_pause_cheap(key: KeyState, went_on_ns: int, now_ns: int) -> bool:
    """Whether this pause costs less than the lower pace would.

    Servers refuse for reasons of their own too. Where our pace is the reason, they
    do so often, or want a long pause for a short run.
    """
    cheap_ns = max(_SHORT_PAUSE_NS, (1 - _REPEATED.to) * (now_ns - went_on_ns))
    return key.pause.until_ns - now_ns < cheap_ns


def _is_our_pace(key: KeyState, permit: Permit, went_on_ns: int, now_ns: int) -> bool:
    """Whether a 429 means that we are too fast.

    Refused again with no answer between, the pause grows. Refused again although
    there were answers, it is the pace.
    """
    is_repeated = went_on_ns > 0 and now_ns - went_on_ns < _REPEATED_WITHIN_NS
    return is_repeated and key.pause.rounds == 1 and _knew_better(key, permit)


def _knew_better(key: KeyState, permit: Permit) -> bool:
    """Whether the request was sent within all that is known, and still refused."""
    learned_ns = max(key.requests.learned_ns, key.tokens.learned_ns)
    return learned_ns <= permit.granted_ns


def _tell_breaker_good(run: RunState, permit: Permit, now_ns: int) -> None:
    run.breaker.succeeded(
        is_probe=permit.is_probe, sent_ns=permit.granted_ns, now_ns=now_ns
    )


def _tell_breaker(
    run: RunState, ended: Ended, kind: FailureKind, in_flight: int, now_ns: int
) -> None:
    breaker, was_open = run.breaker, run.breaker.is_open
    want = ended.permit.want
    what = Failed(
        item=want.number,
        sent_ns=ended.permit.granted_ns,
        failed_before_ns=int((want.failed_before_s or 0) * SECOND_NS),
        unsent=kind is FailureKind.NOT_SENT,
        told=kind not in _SILENT,
        has_failed=want.has_failed,
    )
    breaker.failed(
        what,
        in_flight=in_flight,
        per_s=run.requests.window.per_minute(now_ns) / 60,
        now_ns=now_ns,
    )
    if breaker.is_open and (ended.permit.is_probe or not was_open):
        breaker.plan_probe(now_ns, ended.draw)
