"""May this request be sent, and if not, when is it worth asking again?

The one place where all reasons meet: refusals for good, pauses, the breaker, the
first answer, dollars, and the four buckets. Takes all or nothing.

Floor: doors and rules. Pure decisions over the two states. Knows neither cells nor
threads.
"""

import threading
from dataclasses import dataclass, replace
from decimal import Decimal

from runner.limiter import bursts
from runner.limiter.breaker import NOBODY
from runner.limiter.budget import PICO, pico_usd
from runner.limiter.keystate import KeyState
from runner.limiter.pacing import Bucket, Spacing
from runner.limiter.permits import (
    Charges,
    Permit,
    Refusal,
    RefusalKind,
    RunCeilings,
    Want,
)
from runner.limiter.runstate import RunState
from runner.limiter.window import SECOND_NS
from runner.wording import duration, usd

AHEAD_NS = SECOND_NS // 2
"""How early a turn may be taken: a thread that is woken late wastes none."""


_TELL_EVERY_NS = 4 * SECOND_NS
"""That dollars are waited for: each time it is told, all who wait look again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One thread's question."""

    want: Want
    slot: int
    ceilings: RunCeilings
    stop: threading.Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """Not now."""

    until_ns: int | None
    """When to ask again; None: with the next answer, and nobody knows when."""
    is_noted: bool = False
    """Whether asking has left anything in the states."""


def admit(
    key: KeyState, run: RunState, asked: Asked, now_ns: int
) -> Permit | Blocked | Refusal:
    """Decide, and charge everything when the answer is yes."""
    is_new = run.set_ceilings(asked.ceilings.rpm, asked.ceilings.tpm, now_ns)
    if key.day.until_ns > now_ns and run.trouble_ns:
        # A used-up day is a known wait, not an outage.
        run.trouble_ns, is_new = 0, True
    no: Blocked | Refusal | None = _too_large(key, run, asked.want, now_ns)
    no = no or _given_up(run, asked)
    no = no or _held(key, run, asked, now_ns) or _money(run, asked, now_ns)
    if isinstance(no, Blocked):
        return replace(no, is_noted=no.is_noted or is_new)
    if no:
        return no
    due_ns = _due_ns(key, run, asked.want, now_ns)
    if due_ns > now_ns + AHEAD_NS:
        for bucket, spacing, amount in _paced(key, run, asked.want, now_ns):
            if spacing is not None and bucket.claim(amount, spacing, now_ns):
                is_new = True
        return Blocked(until_ns=due_ns - AHEAD_NS, is_noted=is_new)
    return _grant(key, run, asked, due_ns)


def pay_again(key: KeyState, run: RunState, permit: Permit, now_ns: int) -> None:
    """Charge a permit that is used late, as if its turn were now.

    The spacing allows for `JITTER_NS` between grant and arrival; a later request
    would stand in a window that its charge has already left.
    """
    for bucket, spacing, amount in _paced(key, run, permit.want, now_ns):
        bucket.window.add(-amount, permit.granted_ns)
        bucket.charge(amount, spacing, now_ns)


def _too_large(key: KeyState, run: RunState, want: Want, now_ns: int) -> Refusal | None:
    """More than `--tpm` is refused for good; more than was learned, only if tried.

    A limit may have been raised since it was learned, and nothing but an answer tells.
    The request that asks has the whole minute to itself: see `Window.free_ns`.
    """
    if 0 < run.tokens.limit < want.tokens:
        whose, limit = "--tpm", run.tokens.limit
    elif key.is_too_large(want.tokens, now_ns):
        whose, limit = "the key", key.tokens.limit
    else:
        return None
    message = (
        f"the request needs {want.tokens:,} tokens at once, "
        f"{whose} allows {limit:,} a minute (a lower output limit needs less)"
    )
    return Refusal(kind=RefusalKind.TOO_LARGE, message=message)


def _given_up(run: RunState, asked: Asked) -> Refusal | None:
    lasted_s = (run.trouble_last_ns - run.trouble_ns) / SECOND_NS
    if not run.trouble_ns or lasted_s < asked.ceilings.give_up_after_s:
        return None
    message = f"nothing has answered for {duration(lasted_s)}"
    if run.last_failure_words:
        message += f": last was {run.last_failure_words}"
    return Refusal(kind=RefusalKind.GIVEN_UP, message=message)


def _probe_ns(run: RunState, give_up_after_s: float) -> int:
    """When the next probe may go; at the latest when it would be the last one.

    Else a run gives up as much later as probes are apart by then.
    """
    if not run.breaker.is_open:
        return 0
    if not run.trouble_ns:
        return run.breaker.next_probe_ns
    last_ns = run.trouble_ns + int(give_up_after_s * SECOND_NS)
    return min(run.breaker.next_probe_ns, last_ns)


def _held(key: KeyState, run: RunState, asked: Asked, now_ns: int) -> Blocked | None:
    probe_ns = _probe_ns(run, asked.ceilings.give_up_after_s)
    held_ns = max(key.pause.until_ns, key.day.until_ns, probe_ns)
    if held_ns > now_ns:
        return Blocked(until_ns=held_ns)
    return Blocked(until_ns=None) if _awaits_answer(run, asked.slot) else None


def _awaits_answer(run: RunState, slot: int) -> bool:
    """A probe's; or the first of a session, until which each worker asks only once."""
    if run.breaker.is_open and run.breaker.probe_slot != NOBODY:
        return True
    return not run.is_proven and run.lines.requests_of(slot) > 0


def _money(run: RunState, asked: Asked, now_ns: int) -> Blocked | Refusal | None:
    cap_usd, worst_usd = asked.ceilings.max_cost_usd, asked.want.worst_usd
    if cap_usd is None or not worst_usd:
        return None  # costs nothing, or nothing that is not promised already
    promised_pico = run.at_worst_pico(run.lines.reserved_pico)
    taken_pico = run.lines.committed_pico + promised_pico
    next_pico = run.at_worst_pico(pico_usd(worst_usd))
    # The cap is rounded down, amounts are rounded up.
    if taken_pico + next_pico <= int(cap_usd * PICO):
        return None
    if run.lines.requests or run.lines.reserved_pico:
        # What is under way may cost less than its worst case, and what waits for a
        # new turn may give its dollars back.
        is_noted = now_ns - run.budget_wait_ns >= _TELL_EVERY_NS
        if is_noted:
            run.budget_wait_ns = now_ns
        return Blocked(until_ns=None, is_noted=is_noted)
    spent_usd, next_usd = Decimal(taken_pico) / PICO, Decimal(next_pico) / PICO
    message = (
        f"{usd(spent_usd, is_bound=True)} of {usd(cap_usd)} are spent or may have been,"
        f" and the next request may cost {usd(next_usd, is_bound=True)}"
    )
    return Refusal(kind=RefusalKind.BUDGET, message=message)


def _paced(
    key: KeyState, run: RunState, want: Want, now_ns: int
) -> tuple[tuple[Bucket, Spacing | None, int], ...]:
    return (
        (key.requests, key.request_spacing(now_ns), 1),
        (key.tokens, key.token_spacing(now_ns), want.tokens),
        (run.requests, run.request_spacing(key), 1),
        (run.tokens, run.token_spacing(key), want.tokens),
    )


def _due_ns(key: KeyState, run: RunState, want: Want, now_ns: int) -> int:
    due_ns = run.breaker.ramp_due_ns(now_ns)
    is_early = bursts.covers(run, want, now_ns)
    for bucket, spacing, amount in _paced(key, run, want, now_ns):
        bucket_due_ns = bucket.room_ns if is_early else bucket.due_ns
        due_ns = max(due_ns, bucket_due_ns(amount, spacing, now_ns))
    if key.requests.limit or key.tokens.limit:
        due_ns = max(due_ns, key.starts_ns)
    if run.requests.limit or run.tokens.limit:
        due_ns = max(due_ns, run.starts_ns)
    return due_ns


def _grant(key: KeyState, run: RunState, asked: Asked, due_ns: int) -> Permit:
    want, breaker = asked.want, run.breaker
    paced = _paced(key, run, want, due_ns)
    charges = [
        bucket.charge(amount, spacing, due_ns) for bucket, spacing, amount in paced
    ]
    if bursts.covers(run, want, due_ns):
        bursts.use(run, want)
    worst_pico = pico_usd(want.worst_usd or Decimal(0))
    run.lines.begin(asked.slot, worst_pico, want.tokens)
    if breaker.is_open:
        breaker.take_probe(asked.slot)
    else:
        breaker.ramp_charge(due_ns)
        breaker.granted()
    return Permit(
        want=want,
        granted_ns=due_ns,
        is_paced=any(spacing for _, spacing, _ in paced),
        epoch=key.pause.epoch,
        is_probe=breaker.is_open,
        charges=Charges(
            key_requests=charges[0],
            key_tokens=charges[1],
            run_requests=charges[2],
            run_tokens=charges[3],
        ),
        key_requests_before=key.requests.window.total(due_ns),
        key_tokens_before=key.tokens.window.total(due_ns),
        others_in_flight_tokens=run.lines.tokens - want.tokens,
        stop=asked.stop,
    )
