"""One night: a run, everything that happens to it, and what must hold all the same.

A person starts the run, and whenever it has ended, resumes it: after killing, after
a full disk, after topping up the account. In the end every item has what it deserves
and the two histories, the provider's ledger and the checkpoint, agree.
"""

import dataclasses
import functools
import hashlib
import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from nights import plan as planned
from nights import provider as moods
from nights.disk import Disk
from nights.futures import Futures
from nights.machine import Clock, Machine
from nights.morning import Morning, opened
from nights.plan import Deed, Plan
from nights.provider import Provider, Sent
from nights.world import Process, World
from runner.api_records import Finish
from runner.checkpoint.entries import attempt_key, outcome_key
from runner.checkpoint.manifest import Manifest
from runner.checkpoint.shard import shard_folder
from runner.errors import RunLocked, RunnerError
from runner.protocols import Said
from runner.run_status import StopKind
from runner.session.working import Wishes, work

_KEY = "sk-night"
_DRAWS = ("world", "disk", "night", "provider")
_MOST_SESSIONS = 60
_SESSION_S = 12 * 3600.0
_PRICE_USD = Decimal("0.000001")
"""Of one token, in or out."""
_USED_USD = 10 * _PRICE_USD
_LAST_SEND_S = 1.0
_TRAVEL_S = 0.03


@dataclass
class Night:
    """Everything of one seed."""

    plan: Plan
    run_folder: Path
    futures: Futures
    broken: list[str] = field(default_factory=list)
    """What did not hold."""

    def __post_init__(self) -> None:
        self._draws = {name: random.Random() for name in _DRAWS}
        self._draw = self._draws["night"]
        self._begin_draws("")
        self.world = World(self._draws["world"])
        self.disk = Disk(self.world, self._draws["disk"])
        self.provider = self._provider()
        self.machine = Machine(self.world, self.disk, self.provider, Clock(self.world))
        self.machine.on_said = self._heard
        self.machine.kills_when_judged = self._kills
        self._deeds = list(self.plan.deeds)
        self._moods: list[str] = []
        self._drained_s: float | None = None
        self._full_until_s = 0.0
        self._cap_usd = self.plan.max_cost_usd
        self._told: Counter[str] = Counter()
        self._turns = list(planned.TURNS)
        self._came_up: set[int] = set()
        # Asked for six times with every request: making paths is slow.
        self._shard = functools.cache(lambda slot: shard_folder(self.run_folder, slot))

    def digest(self) -> str:
        """Short for all that the provider saw: the same seed, the same digest."""
        seen = [(sent.at_s, sent.item, sent.attempt) for sent in self.provider.sent]
        return hashlib.blake2b(repr(seen).encode(), digest_size=6).hexdigest()

    def pass_by(self) -> None:
        """From the first start until everything is finished, and the morning."""
        self.machine.settle_in()
        self.disk.is_full = lambda: self.world.now_s < self._full_until_s
        begun_s = self.world.now_s
        for session in range(1, _MOST_SESSIONS + 1):
            finish = self._session(session)
            if self.world.crashes:
                self.broken += self.world.crashes
                return
            if finish and finish.stop is None:
                self.world.now_s = max(self.world.now_s, begun_s + planned.HOURS * 3600)
                self.broken += Morning(
                    self.plan, self.provider, self.run_folder
                ).broken()
                return
            if self.broken:
                return
            self._sleep_on_it()
        self.broken.append(f"not finished after {_MOST_SESSIONS} sessions")

    def _session(self, session: int) -> Finish | None:
        machine, ended = self.machine, []
        machine.session = session
        machine.supervisor = process = Process(f"supervisor {session}")
        machine.supervisor_died_s = self._drained_s = None
        machine.signals = None  # nobody listens before the session does

        def supervise() -> None:
            wishes = Wishes()
            try:
                ended.append(
                    work(
                        self.run_folder,
                        api_key=_KEY,
                        wishes=wishes,
                        clock=machine.clock,
                        on_status=lambda _: None,
                        on_progress=None,
                    )
                )
            except RunnerError as error:
                self._told[type(error).__name__] += 1
                if not self._may_refuse(error):
                    raise
            process.is_alive = False

        self.world.spawn(process, supervise)
        over = self.world.run_until(
            lambda: machine.is_quiet or bool(self.world.crashes),
            self.world.now_s + _SESSION_S,
        )
        if not over:
            self.broken.append(f"session {session} stalled")
        machine.orphans.clear()
        finish = ended[0] if ended else None
        if finish and finish.stop:
            self._told[finish.stop.kind] += 1
            self._check_stop(finish)
        self._check_at_rest()
        return finish

    def _sleep_on_it(self) -> None:
        """Somebody looks at it after a while, mends what can be mended, resumes."""
        self._moods = [m for m in self._moods if m not in moods.FATAL]
        self.world.now_s += self._draw.choice((0.5, 30.0, 3_600.0))
        self.world.now_s = max(self.world.now_s, self._full_until_s)
        if self._cap_usd is not None and self._told[StopKind.BUDGET]:
            self._cap_usd += Decimal("0.003")
            self._change(max_cost_usd=self._cap_usd)
        self._told[StopKind.BUDGET] = 0

    def _change(self, **pacing: object) -> None:
        manifest = Manifest.load(self.run_folder)
        changed = dataclasses.replace(manifest.config.pacing, **pacing)  # type: ignore[arg-type]
        config = dataclasses.replace(manifest.config, pacing=changed)
        dataclasses.replace(manifest, config=config).save(self.run_folder)

    # What goes wrong

    def _turn(self, after_requests: int) -> None:
        """From here on this night is another than those it shares its past with."""
        way = self.futures.part()
        self._begin_draws(way)
        self.plan = self.plan.turned(way, after_requests, self._came_up)
        self._deeds = [d for d in self.plan.deeds if d.after_requests > after_requests]

    def _begin_draws(self, way: str) -> None:
        for name, draw in self._draws.items():
            draw.seed(f"{self.plan.family} {way} {name}")
        # Backoff and jitter of the production code.
        random.seed(f"{self.plan.family} {way}")

    def _provider(self) -> Provider:
        plan, draw = self.plan, self._draws["provider"]

        def latency_s() -> float:
            return plan.latency_s * draw.lognormvariate(0, 0.5)

        def is_good(item: int, had: int) -> bool:
            if item in plan.always_invalid:
                return False
            return had >= 2 or draw.random() >= plan.invalid_share

        return Provider(
            world=self.world,
            draw=draw,
            mood=self._mood,
            is_good=is_good,
            latency_s=latency_s,
            rpm=plan.enforced_rpm,
            on_arrival=self._arrived,
        )

    def _mood(self, item: int, _request_id: str) -> str | None:
        count = self.provider.arrivals
        if self._moods:
            return self._moods[-1]
        if item in self.plan.always_500:
            return "500"
        return self.plan.refused.get(item) or self.plan.singles.get(count)

    def _kills(self, item: int) -> bool:
        return item in self.plan.poison

    def _do(self, deed: Deed) -> None:
        self._told[deed.what] += 1
        if deed.what in moods.ALL:
            self._enter(deed.what, deed.lasts_s)
        else:
            _DOING[deed.what](self, deed.lasts_s)

    @property
    def _workers(self) -> list[Process]:
        return [p for p in self.machine.orphans if p.is_alive]

    def _kill_all(self, _: float) -> None:
        self.machine.kill_everything()

    def _kill_supervisor(self, _: float) -> None:
        self.machine.kill_supervisor()
        self.world.at(self.world.now_s, self._resume_too_early)

    def _kill_worker(self, _: float) -> None:
        if self._workers:
            self.world.kill(self._draw.choice(self._workers))

    def _stop_worker(self, lasts_s: float) -> None:
        if self._workers:
            self.world.pause(self._draw.choice(self._workers), lasts_s)

    def _suspend(self, lasts_s: float) -> None:
        supervisors = filter(None, [self.machine.supervisor])
        for process in (*self._workers, *supervisors):
            self.world.pause(process, lasts_s)

    def _fill_disk(self, lasts_s: float) -> None:
        self._full_until_s = self.world.now_s + lasts_s

    def _jump(self, _: float) -> None:
        self.machine.clock.wall_offset_s += self._draw.choice((-86_400, 7_200))

    def _enter(self, mood: str, lasts_s: float) -> None:
        self._moods.append(mood)

        def leave() -> None:
            if mood in self._moods:
                self._moods.remove(mood)

        if mood not in moods.FATAL:
            # Somebody has to mend those.
            self.world.at(self.world.now_s + lasts_s, leave)

    def _interrupt(self, _: float) -> None:
        signals, supervisor = self.machine.signals, self.machine.supervisor
        if signals is None or supervisor is None or not supervisor.is_alive:
            return
        signals.note(signal.SIGINT)
        self._drained_s = self._drained_s or self.world.now_s
        self.world.happened(supervisor)

    def _interrupt_twice(self, lasts_s: float) -> None:
        self._interrupt(lasts_s)
        self.world.at(self.world.now_s + 2.5, lambda: self._interrupt(0.0))

    def _resume_too_early(self) -> None:
        """A second session while workers of a dead one still record: refused."""
        if not any(process.is_alive for process in self.machine.orphans):
            return
        process = Process("supervisor too early")

        def supervise() -> None:
            from runner.supervisor.opened import holding  # noqa: PLC0415 - as replaced

            with suppress(RunLocked), holding(self.run_folder, self.machine.clock):
                # One that is only starting will find its supervisor gone, and end.
                if any(worker.locks for worker in self.machine.orphans):
                    self.broken.append("a second session began beside orphans")

        self.world.spawn(process, supervise)

    # What must hold at every moment

    def _arrived(self, sent: Sent) -> None:
        if self._turns and self.provider.arrivals > self._turns[0]:
            self._turn(self._turns.pop(0))
        self._came_up.add(sent.item)
        while self._deeds and self.provider.arrivals > self._deeds[0].after_requests:
            deed = self._deeds.pop(0)
            moment_s = self.world.now_s + self._draw.uniform(0, 1.0)
            self.world.at(moment_s, lambda deed=deed: self._do(deed))  # type: ignore[misc]
        for what in self._wrong_with(sent):
            self.broken.append(f"{self.world.now_s:.3f} {sent.request_id}: {what}")

    def _wrong_with(self, sent: Sent) -> Iterator[str]:
        slot = int(sent.process.name.split()[1])
        if not self.disk.has(self._shard(slot), attempt_key(sent.item, sent.attempt)):
            yield "sent before its attempt was on disk"
        if sent.asked != sent.item:
            yield f"asks about item {sent.asked}"
        shards = range(self.plan.workers + 2)
        for other in shards:
            if self.disk.has(self._shard(other), outcome_key(sent.item)):
                yield "asked although its outcome is recorded"
        grace_s = _LAST_SEND_S + _TRAVEL_S
        paused_s = sent.process.paused_until_s
        for since_s, what in (
            (self.machine.supervisor_died_s, "the supervisor's death"),
            (self._drained_s, "Ctrl-C"),
        ):
            if since_s is None or sent.session != self.machine.session:
                continue
            if self.world.now_s > max(since_s, paused_s) + grace_s:
                yield f"sent {self.world.now_s - since_s:.2f} s after {what}"

    def _heard(self, said: Said) -> None:
        if said.message["is"] != "progress":
            return
        for row in said.message["done"]:
            if not self.disk.has(self._shard(said.slot), outcome_key(row)):
                self.broken.append(f"row {row} told as done, but not on disk")

    # What must hold whenever nobody works on the run

    def _may_refuse(self, error: RunnerError) -> bool:
        """Errors a person may meet that are no bug: the disk is full just then."""
        return self.world.now_s < self._full_until_s + 1 and "full" in str(error)

    def _check_stop(self, finish: Finish) -> None:
        assert finish.stop is not None
        kind = finish.stop.kind
        reasons = {
            StopKind.DENIED: any(m in moods.FATAL for m in self._moods),
            StopKind.NOT_FOUND: "unknown model" in self._moods,
            StopKind.BUDGET: self._cap_usd is not None,
            StopKind.STORE: self._full_until_s > 0,
            StopKind.DISK: self._full_until_s > 0,
            StopKind.INTERRUPTED: self._drained_s is not None,
        }
        if not reasons.get(kind):
            self.broken.append(f"stopped for no reason: {finish.stop}")

    def _check_at_rest(self) -> None:
        cost_usd = len(self.provider.ledger) * _USED_USD
        if self._cap_usd is not None and cost_usd > self._cap_usd:
            self.broken.append(f"{cost_usd} USD spent of {self._cap_usd}")
        with opened(self.run_folder) as reader:
            totals = reader.totals()
        begun = {s.request_id for s in self.provider.sent}
        if totals.sent < len(begun):
            self.broken.append(f"{len(begun)} requests, {totals.sent} recorded as sent")
        held = totals.committed_usd
        if self._cap_usd is not None and held > self._cap_usd:
            self.broken.append(f"{held} USD committed of {self._cap_usd}")


_DOING: dict[str, Callable[[Night, float], None]] = {
    planned.KILL_ALL: Night._kill_all,
    planned.KILL_SUPERVISOR: Night._kill_supervisor,
    planned.KILL_WORKER: Night._kill_worker,
    planned.STOP_WORKER: Night._stop_worker,
    planned.SUSPEND: Night._suspend,
    planned.DRAIN: Night._interrupt,
    planned.DRAIN_TWICE: Night._interrupt_twice,
    planned.DISK_FULL: Night._fill_disk,
    planned.CLOCK_JUMP: Night._jump,
}
