"""The door: may this request be sent now?

Owns the two cells, the line of this process's threads and what is still to be
settled; all rules are in the pure modules beside it.

Floor: doors and rules. Knows records, the clock and its own wing.
"""

import os
import random
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal

from runner.clock import Clock
from runner.errors import StateDamaged
from runner.limiter import bursts, settling, words
from runner.limiter.admission import Asked, Blocked, admit, pay_again
from runner.limiter.budget import pico_usd
from runner.limiter.gate import Gate
from runner.limiter.headers import read_meters
from runner.limiter.keystate import KeyState
from runner.limiter.pair import CellPair
from runner.limiter.permits import (
    LimiterPlace,
    Permit,
    Refusal,
    RefusalKind,
    RunCeilings,
    Want,
)
from runner.limiter.runstate import RunState
from runner.limiter.window import SECOND_NS
from runner.records import Failure, Usage
from runner.run_status import Pace

_MOST_STALE_S = 20.0
_FREE_AGE_S = 0.15
"""Of the quarter of a second between grant and arrival that spacing allows for, the
part that is ours; the rest is the network's. A later send is charged again."""
_SHORTEST_WAIT_S = 0.05
"""Turns are taken half a second ahead, so looking more often gains nothing."""
_LONGEST_WAIT_S = 5.0
_SHORTEST_LOOK_S, _LONGEST_LOOK_S, _LOOK_SHARE = 0.1, 1.0, 0.1
"""How often to look for what ends with an answer: after a tenth of what it has been
waited for, so that it is noticed in good time and an hour of it costs nothing."""
_ASK_AGAIN_S, _ASK_AGAIN_LATER_S = 5.0, 30.0
"""Without any news: what only an answer ends, and what ends at a known moment."""
_SETTLE_PATIENCE_S = 6.0
_RECHARGE_PATIENCE_S = 0.2
_CLOSE_PATIENCE_S = 1.0
_STOPPED = Refusal(kind=RefusalKind.STOPPED, message="stopped")
_States = Callable[[KeyState, RunState, int], None]


class Limiter:
    """One process's share of the limits; used by all its threads.

    Args:
        place: the two cells, made where missing, and this process's line.
        ceilings: what the user allows this run.
        clock: monotonic moments must be comparable across processes.

    Raises:
        UsageError: a cell cannot be made or opened.
    """

    def __init__(
        self, place: LimiterPlace, ceilings: RunCeilings, clock: Clock
    ) -> None:
        self._slot = place.slot
        self._ceilings = ceilings
        self._clock = clock
        self._cells = CellPair(place, clock)
        self._gate, self._renewals = Gate(), Gate()
        self._unsettled: deque[_States] = deque()
        self._is_calm = False
        self._never = threading.Event()
        self._pid = os.getpid()

    def reserve(self, want: Want, stop: threading.Event) -> Permit | Refusal:
        """Wait until the request may be sent, or until it is clear that it may not.

        `stop` is one for all threads of this process: who stands in line hears of it
        from whoever is ahead.

        Raises:
            StateDamaged: the run's cell is unreadable or gone.
            ValueError: a dollar cap, and no worst case to hold against it.
        """
        return self._turn(want, stop, self._gate)

    def _turn(self, want: Want, stop: threading.Event, gate: Gate) -> Permit | Refusal:
        self._check(want)
        asked = Asked(want=want, slot=self._slot, ceilings=self._ceilings, stop=stop)
        while True:
            with gate:
                decision = self._negotiate(asked)
            if isinstance(decision, Refusal) or self._await_turn(decision):
                return decision
            self.give_back(decision)
            if stop.is_set():
                return _STOPPED

    def is_fresh(self, permit: Permit) -> bool:
        """Whether the request may really go, asked just before it does.

        False once stopped, paused, hit by an outage, or a second late. A request
        later than the spacing allows for, but within that second, is charged once
        more, so that no window at the server holds too many.
        """
        if not self._still_holds(permit):
            return False
        if not permit.is_paced or self._age_s(permit) <= _FREE_AGE_S:
            return True

        def pay(key: KeyState, run: RunState, now_ns: int) -> bool:
            pay_again(key, run, permit, now_ns)
            return True

        paid = self._cells.change(pay, permit.stop, _RECHARGE_PATIENCE_S)
        return bool(paid) and self._still_holds(permit)

    def is_called_off(self, permit: Permit) -> bool:
        """Whether a stop, a pause or an outage came since: more than being late."""
        if permit.stop.is_set():
            return True
        pause, breaker = self._cells.peek_gates()
        if pause.epoch != permit.epoch or pause.until_ns > self._cells.now_ns():
            return True
        return breaker.is_open and not permit.is_probe

    def renew(self, permit: Permit) -> Permit | Refusal:
        """Take a new turn for a permit that came too late.

        Its dollars stay promised, as on disk it is about to be sent; until `release`.
        It does not stand in line: who is at its head may wait for these very dollars.
        The new one may be late by twice as much, or a connection that takes over a
        second would never bring a request on its way.
        """
        stale_after_s = max(permit.stale_after_s, 2 * self._age_s(permit))
        free = replace(permit, want=replace(permit.want, worst_usd=Decimal(0)))
        self.give_back(free)
        turn = self._turn(free.want, permit.stop, self._renewals)
        if isinstance(turn, Refusal):
            return turn
        stale_after_s = min(_MOST_STALE_S, stale_after_s)
        return replace(turn, want=permit.want, stale_after_s=stale_after_s)

    def release(self, permit: Permit) -> None:
        """Take back the promise of dollars that `renew` has left."""
        worst_pico = pico_usd(permit.want.worst_usd or Decimal(0))

        def settle(_key: KeyState, run: RunState, _now_ns: int) -> None:
            run.lines.release(self._slot, worst_pico)

        self._settle(settle, permit.stop)

    def give_back(self, permit: Permit) -> None:
        """Settle a permit that was provably not used.

        Its dollars come back whole, its turn as long as no later one was taken.
        """
        ended = self._ended(permit)

        def settle(key: KeyState, run: RunState, now_ns: int) -> None:
            settling.given_back(key, run, ended, now_ns)

        self._settle(settle, permit.stop)

    def answered(
        self,
        permit: Permit,
        headers: Mapping[str, str],
        usage: Usage | None,
        cost_usd: Decimal | None,
    ) -> None:
        """Settle an answer (2xx, readable); an unknown cost counts as the worst.

        While all goes well this waits for what this process next asks the cells, or
        for `settle`: until then the request counts as under way.
        """
        ended = self._ended(permit)
        said = settling.ServerSaid(meters=read_meters(headers))

        def settle(key: KeyState, run: RunState, now_ns: int) -> None:
            settling.answered(
                key,
                run,
                ended,
                said=said,
                usage=usage,
                cost_usd=cost_usd,
                now_ns=now_ns,
            )

        if self._is_calm:
            self._unsettled.append(settle)
        else:
            self._settle(settle, permit.stop)

    def settle(self) -> None:
        """Settle the answers that wait for it; to be called often."""
        if self._unsettled:
            self._cells.change(self._settle_all, self._never, _SHORTEST_WAIT_S)

    def failed(
        self,
        permit: Permit,
        failure: Failure,
        headers: Mapping[str, str],
        committed_usd: Decimal,
    ) -> bool:
        """Settle a failure that may have cost `committed_usd`.

        Returns:
            Whether it counts against the item, as far as is known now: an outage
            that opens within 30 s takes it back, see `forgiven`.
        """
        ended = self._ended(permit)
        said = settling.said_with(failure, headers)
        counted: list[bool] = []

        def settle(key: KeyState, run: RunState, now_ns: int) -> None:
            counts = settling.failed(
                key,
                run,
                ended,
                failure=failure,
                said=said,
                committed_usd=committed_usd,
                now_ns=now_ns,
            )
            counted.append(counts)

        self._settle(settle, permit.stop)
        if counted:
            return counted[0]
        # The cell is stuck and the failure still to be told: ask what is known.
        return settling.counts(failure.kind, permit.want, self._cells.peek_run())

    def is_alone(self, number: int) -> bool:
        """Whether this item is the only one that has failed since the last answer."""
        return self._cells.peek_gates()[1].is_alone(number)

    def blocked_by(self) -> str | None:
        """Who has held a cell for longer than 5 s, in words; None: nobody."""
        return self._cells.blocked_by()

    def forgiven(self, failure_times: list[float]) -> list[float]:
        """Those of an item's failures (monotonic moments) that an outage caused.

        An outage forgives from the last answer before the breaker opened, 30 s
        before at least, until it closed; the latest eight are remembered.
        """
        if not failure_times:
            return []
        breaker = self._cells.peek_gates()[1]
        return [s for s in failure_times if breaker.forgives(int(s * SECOND_NS))]

    def token_ratio(self) -> float:
        """Real input tokens for each estimated one, learned in this run; 1 at first."""
        return self._cells.token_ratio()

    def pace(self) -> Pace:
        """Limits known, and what holds the run back; never waits for a lock."""
        return words.pace_of(*self._cells.peek(), self._cells.now_ns())

    def hurry(self, requests: int) -> bool | None:
        """Do without the even pace, if all these requests fit into what is left.

        Returns:
            Whether they do; None: nothing has answered yet, or a cell is held.
        """
        if not self._cells.peek_run().is_proven:
            return None

        def begin(key: KeyState, run: RunState, now_ns: int) -> bool:
            return bursts.begin(key, run, requests, now_ns)

        return self._cells.change(begin, self._never, _SHORTEST_WAIT_S)

    def close(self) -> None:
        """Settle what can be settled within a second and let go of the cells."""
        if self._unsettled:
            self._cells.change(self._settle_all, self._never, _CLOSE_PATIENCE_S)
        self._cells.close()

    def _check(self, want: Want) -> None:
        if os.getpid() != self._pid:
            # A forked child shares the lock itself: both would hold it at once.
            raise RuntimeError("a limiter does not survive fork: make one in the child")
        if self._ceilings.max_cost_usd is not None and want.worst_usd is None:
            raise ValueError("a dollar cap needs the worst case of every request")
        self._cells.look_after_files()

    def _negotiate(self, asked: Asked) -> Permit | Refusal:
        """Ask until it is a yes or a no; the head of this process's line only."""

        def ask(
            key: KeyState, run: RunState, now_ns: int
        ) -> tuple[Permit | Blocked | Refusal, bool]:
            is_changed = self._settle_all(key, run, now_ns)
            self._check_dollars(run)
            decision = admit(key, run, asked, now_ns)
            is_noted = not isinstance(decision, Blocked) or decision.is_noted
            return decision, is_changed or is_noted

        began_s = self._clock.monotonic_s()
        while not asked.stop.is_set():
            edition = self._cells.edition()
            decision = self._cells.consider(ask, asked.stop)
            if decision is None:
                break
            if not isinstance(decision, Blocked):
                return decision
            if self._await_news(decision, edition, asked.stop, began_s):
                break
        return _STOPPED

    def _await_news(
        self,
        blocked: Blocked,
        edition: tuple[bytes, bytes],
        stop: threading.Event,
        began_s: float,
    ) -> bool:
        """Wait until something may have turned the no into a yes; True: stopped."""
        again_s = _ASK_AGAIN_S if blocked.until_ns is None else _ASK_AGAIN_LATER_S
        again_ns = self._cells.now_ns() + int(again_s * SECOND_NS)
        due_ns = min(again_ns, blocked.until_ns or again_ns)
        while not self._clock.wait(stop, self._wait_s(blocked, began_s)):
            self._cells.look_after_files()
            is_due = self._cells.now_ns() >= due_ns
            if is_due or self._unsettled or self._cells.edition() != edition:
                return False
        return True

    def _wait_s(self, blocked: Blocked, began_s: float) -> float:
        now_s = self._clock.monotonic_s()
        if blocked.until_ns is None:
            look_s = (now_s - began_s) * _LOOK_SHARE
            return min(_LONGEST_LOOK_S, max(_SHORTEST_LOOK_S, look_s))
        wait_s = blocked.until_ns / SECOND_NS - now_s
        return min(_LONGEST_WAIT_S, max(_SHORTEST_WAIT_S, wait_s))

    def _check_dollars(self, run: RunState) -> None:
        if self._ceilings.max_cost_usd is not None and not run.is_begun:
            raise StateDamaged(
                "the run's limits cell does not know what has been spent",
                "`runner resume` builds it anew",
            )

    def _await_turn(self, permit: Permit) -> bool:
        """Sleep until a turn taken ahead is due; False: it is worth nothing by now."""
        wait_s = -self._age_s(permit)
        if wait_s <= 0:
            return True
        while wait_s > 0:
            if self._clock.wait(permit.stop, wait_s):
                return False
            wait_s = -self._age_s(permit)
        return self._still_holds(permit)

    def _still_holds(self, permit: Permit) -> bool:
        is_late = self._age_s(permit) > permit.stale_after_s
        return not (is_late or self.is_called_off(permit))

    def _age_s(self, permit: Permit) -> float:
        return (self._cells.now_ns() - permit.granted_ns) / SECOND_NS

    def _ended(self, permit: Permit) -> settling.Ended:
        draw = random.random()  # noqa: S311 - spreads waits, no secret
        return settling.Ended(permit=permit, slot=self._slot, draw=draw)

    def _settle(self, settle: _States, stop: threading.Event) -> None:
        """Settle now, or at the next chance when a cell is stuck.

        Never endless: a thread with an answer must come home although some process
        holds the cell and sleeps. While draining one try is enough: whoever comes
        next, `close` at last, settles all that is left, and the next session builds
        the dollars anew from what is on disk.
        """
        self._unsettled.append(settle)
        self._cells.change(self._settle_all, stop, _SETTLE_PATIENCE_S)

    def _settle_all(self, key: KeyState, run: RunState, now_ns: int) -> bool:
        """Settle what waits for it; whether anything did: other threads add to it."""
        is_changed = False
        while self._unsettled:
            self._unsettled.popleft()(key, run, now_ns)
            is_changed = True
        # Nobody waits for an answer, and none is needed to tell how things are.
        self._is_calm = settling.is_calm(key, run, now_ns)
        return is_changed
