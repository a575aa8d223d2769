"""A machine to run sessions on: production code, with clock, network, disk replaced.

Supervisor and workers are the real ones, in processes of the world; engine and pipe
are this machine's. Made once in an operating-system process of its own: it replaces
names in production modules and never puts them back.
"""

import contextlib
import dataclasses
import json
import os
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import runner.checkpoint.committer
import runner.checkpoint.locks
import runner.checkpoint.shard
import runner.forks
import runner.limiter.cell
import runner.limiter.gate
import runner.limiter.limiter
import runner.limiter.session
import runner.session.working
import runner.supervisor.opened
import runner.supervisor.signals
import runner.worker.assignments
import runner.worker.main
import runner.worker.opening
import runner.worker.outbox
from nights.disk import Disk, Reading, Store
from nights.provider import Caller, Provider
from nights.world import Process, Task, Threading, World
from runner.checkpoint.locks import Presence, RunLock
from runner.checkpoint.shard_reading import ShardReader
from runner.protocols import Died, Event, Said, WorkerSettings
from runner.records import JsonObject
from runner.supervisor.signals import Signals
from runner.task import Task as Asking
from runner.worker.assignments import Assignments
from runner.worker.outbox import Outbox

_THREADED = (
    runner.checkpoint.committer,
    runner.checkpoint.shard,
    runner.limiter.cell,
    runner.limiter.gate,
    runner.limiter.limiter,
    runner.limiter.session,
    runner.supervisor.signals,
    runner.worker.assignments,
    runner.worker.main,
    runner.worker.meter,
    runner.worker.outbox,
)
_NEWS = ("take", "stop", "crashed", "note", "give_back", "_recorded")
_START_S = 0.7
_NOTICE_S = 0.002


class Clock:
    """The world's time, as production code reads it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.wall_offset_s = 1_700_000_000.0
        """A wall clock may jump; nothing is decided by it."""

    def monotonic_s(self) -> float:
        """Never jumps."""
        return self._world.now_s

    def unix_s(self) -> float:
        """For people."""
        return self._world.now_s + self.wall_offset_s

    def wait(self, stop: Any, seconds: float) -> bool:
        """Until `stop` is set or the seconds are over."""
        return bool(stop.wait(max(0.0, seconds)))


@dataclass(eq=False)
class Machine:
    """One machine through one night: it has at most one supervisor."""

    world: World
    disk: Disk
    provider: Provider
    clock: Clock
    on_said: Callable[[Said], None] = lambda _said: None
    kills_when_judged: Callable[[int], bool] = lambda _number: False
    session: int = 0
    supervisor: Process | None = None
    supervisor_died_s: float | None = None
    signals: Signals | None = None
    engine: "Engine | None" = None
    orphans: list[Process] = field(default_factory=list)

    @property
    def is_quiet(self) -> bool:
        """Whether no process of any session is left."""
        if self.supervisor and self.supervisor.is_alive:
            return False
        return not any(process.is_alive for process in self.orphans)

    def settle_in(self) -> None:
        """Replace clock, network and disk in the production modules."""
        threading = Threading(self.world)
        replaced: dict[Any, dict[str, Any]] = {
            module: {"threading": threading} for module in _THREADED
        }
        replaced[runner.worker.main] |= {
            "SystemClock": lambda: self.clock,
            "Presence": self._held(Presence),
        }
        replaced[runner.worker.opening] = {
            "Client": self._client,
            "load_task": self._load_task,
        }
        replaced[runner.supervisor.opened] = {
            "RunLock": self._held(RunLock),
            # This disk has no half-seen commits.
            "decide_last_commit": lambda _folder, _slot: None,
        }
        replaced[runner.session.working] = {
            "engines": self,
            "listening": self._listening,
        }
        replaced[runner.checkpoint.committer] |= {"open_store": self._store}
        replaced[ShardReader] = {"_connect": self._connection()}
        replaced[runner.checkpoint.locks.Owner] = {
            "is_alive": lambda _: bool(self.supervisor and self.supervisor.is_alive)
        }
        # A tick is twenty here: it comes with news, or after a minute of none.
        replaced[runner.worker.outbox] |= {"_QUIET_TICKS": 1}
        # What is forked here is the whole world, not a process of it.
        replaced[runner.forks] = {"close_in_children": lambda _owner, _close: None}
        number = os.getpid()
        replaced[runner.limiter.limiter] |= {
            "os": types.SimpleNamespace(getpid=lambda: number)
        }
        replaced[Outbox] = {name: self._heard_of(name) for name in _NEWS}
        replaced[Assignments] = {"put_aside": self._ripening()}
        for module, names in replaced.items():
            for name, value in names.items():
                assert hasattr(module, name), f"{module} has no {name}"
                setattr(module, name, value)

    def load(self, _name: str) -> "Engine":
        """What `engines.load` gives."""
        self.engine = Engine(self)
        return self.engine

    def kill_everything(self) -> None:
        """SIGKILL to all, or a power cut."""
        if self.supervisor:
            self.kill_supervisor()
        for process in self.orphans:
            self.world.kill(process)

    def kill_supervisor(self) -> None:
        """SIGKILL to the supervisor alone."""
        if self.supervisor and self.supervisor.is_alive:
            self.supervisor_died_s = self.world.now_s
            self.world.kill(self.supervisor)

    def _heard_of(self, name: str) -> Callable[..., None]:
        """That method of a worker's outbox, and its main thread looks into it."""
        put = getattr(Outbox, name)

        def put_in(outbox: Outbox, *words: Any) -> None:
            put(outbox, *words)
            self.world.happened(self.here)

        return put_in

    def _ripening(self) -> Callable[..., None]:
        """A worker's main thread looks all the time: here when an item is ripe."""
        put = Assignments.put_aside

        def put_aside(queue: Assignments, row: int, walk: Any, again_s: float) -> None:
            process = self.here
            put(queue, row, walk, again_s)
            self.world.at(again_s, lambda: self.world.happened(process))

        return put_aside

    def _store(self, folder: Path) -> Store:
        return self.disk.store(folder)

    def _connection(self) -> Callable[..., Reading]:
        disk = self.disk

        def connect(reader: Any) -> Reading:
            return disk.connection(reader._path.parent)

        return connect

    def _client(
        self, settings: Any, _key: str, _clock: Clock, **_has_answers: Any
    ) -> Caller:
        return Caller(self.provider, self.here, self.session, settings.timeout_s)

    @property
    def here(self) -> Process:
        """The process that runs now."""
        task = self.world.task
        assert task is not None
        return task.process

    def _held(self, lock: Any) -> Callable[..., Any]:
        """A lock that the kernel frees when its process is killed."""

        def take(*words: Any) -> Any:
            taken = lock(*words)
            descriptor, process = taken._descriptor, self.here
            release = taken.release

            def let_go() -> None:
                process.on_kill.remove(freed)
                process.locks -= 1
                release()

            def freed() -> None:
                process.locks -= 1
                os.close(descriptor)

            process.locks += 1
            process.on_kill.append(freed)
            taken.release = let_go
            return taken

        return take

    def _load_task(self, *words: Any) -> Any:
        from runner.task import load_task  # noqa: PLC0415 - the real one

        return Deadly(load_task(*words), self)

    @contextlib.contextmanager
    def _listening(self, clock: Clock) -> Iterator[Signals]:
        self.signals = Signals(clock)
        yield self.signals


@dataclass
class Deadly:
    """A task whose answers can kill whoever judges them."""

    task: Asking
    machine: Machine

    def __getattr__(self, name: str) -> Any:
        return getattr(self.task, name)

    def judge(self, item: Any, answer: Any) -> Any:
        """As it would, unless it kills."""
        if self.machine.kills_when_judged(item.ref.number):
            world = self.machine.world
            world.kill(self.machine.here)
            world.sleep(None)
        return self.task.judge(item, answer)


@dataclass(eq=False)
class Worker:
    """One slot, as the engine holds it."""

    process: Process
    orders: list[JsonObject] = field(default_factory=list)
    listener: Task | None = None
    said_goodbye: bool = False


class Engine:
    """Workers in processes of the world. `protocols.Engine`."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.world = machine.world
        self.supervisor = machine.here
        self.workers: dict[int, Worker] = {}
        self._events: list[Event] = []
        self._poller: Task | None = None
        self.supervisor.on_kill.append(self._wake_workers)

    def start(self, settings: WorkerSettings, api_key: str) -> None:
        """A new process."""
        process = Process(f"slot {settings.slot}")
        worker = Worker(process)
        self.workers[settings.slot] = worker
        self.machine.orphans.append(process)
        process.on_kill.append(lambda: self._end(settings.slot, worker, is_clean=False))
        # Pickled on its way to a child: nothing is shared.
        config = type(settings.config).from_json(
            json.loads(json.dumps(settings.config.to_json()))
        )
        own = dataclasses.replace(settings, config=config)
        self.world.spawn(process, lambda: self._work(own, api_key, worker))

    def _work(self, settings: WorkerSettings, api_key: str, worker: Worker) -> None:
        self.world.sleep(_START_S)
        channel = Channel(self, settings.slot, worker)
        code = 1
        try:
            runner.worker.main.work(settings, api_key, channel)
            code = 0
        finally:
            worker.process.on_kill.clear()
            worker.process.is_alive = False
            self._end(settings.slot, worker, is_clean=worker.said_goodbye and not code)

    def _end(self, slot: int, worker: Worker, *, is_clean: bool) -> None:
        def notice() -> None:
            if self.workers.get(slot) is worker:
                del self.workers[slot]
                self.tell(Died(slot, "killed by SIGKILL", is_clean=is_clean))

        self.world.at(self.world.now_s + _NOTICE_S, notice)

    def send(self, slot: int, order: JsonObject) -> None:
        """Through the pipe."""
        worker = self.workers.get(slot)
        if worker is None:
            return
        worker.orders.append(json.loads(json.dumps(order)))
        if worker.listener:
            self.world.wake(worker.listener)

    def poll(self, timeout_s: float) -> Sequence[Event]:
        """What has happened."""
        if not self._events:
            self._poller = self.world.task
            self.world.look_again(timeout_s)
            self._poller = None
        events, self._events = self._events, []
        for event in events:
            if isinstance(event, Said):
                self.machine.on_said(event)
        return events

    def kill(self, slot: int) -> None:
        """SIGKILL."""
        worker = self.workers.get(slot)
        if worker:
            self.world.kill(worker.process)

    def wake(self, slot: int) -> None:
        """SIGCONT."""
        worker = self.workers.get(slot)
        if worker:
            process, now_s = worker.process, self.world.now_s
            process.paused_until_s = min(process.paused_until_s, now_s)

    def close(self) -> None:
        """Pipes close."""

    def tell(self, event: Event) -> None:
        """To the supervisor, if there is one."""
        self._events.append(event)
        if self._poller:
            self.world.wake(self._poller)

    def _wake_workers(self) -> None:
        for worker in self.workers.values():
            if worker.listener:
                self.world.wake(worker.listener)


@dataclass
class Channel:
    """A worker's end of the pipe. `protocols.Channel`."""

    engine: Engine
    slot: int
    worker: Worker
    is_alone: bool = False

    def receive(self, timeout_s: float) -> list[JsonObject] | None:
        """Orders that have come; None once the supervisor is gone."""
        engine, worker = self.engine, self.worker
        if not worker.orders and (engine.supervisor.is_alive or self.is_alone):
            worker.listener = engine.world.task
            engine.world.look_again(timeout_s)
            worker.listener = None
        self.is_alone = not engine.supervisor.is_alive
        orders, worker.orders = worker.orders, []
        if orders:
            return orders
        return [] if engine.supervisor.is_alive else None

    def send(self, message: JsonObject) -> None:
        """To the supervisor; lost if it is gone."""
        if not self.engine.supervisor.is_alive:
            return
        self.worker.said_goodbye |= message["is"] == "bye"
        self.engine.tell(Said(self.slot, json.loads(json.dumps(message))))
