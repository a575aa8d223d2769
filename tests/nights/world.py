"""Virtual time, and greenlets in it that believe they are threads.

One night is one interleaving, chosen by a seed. Nothing runs at the same time: a
thread goes on until it waits, and what may go on next is drawn. A process is a set
of threads that can be killed between two steps, without its `finally` blocks.
"""

import heapq
import itertools
import random
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import greenlet

IDLE_LOOK_S = 60.0
"""A loop that only looks whether something happened looks at least so often."""


@dataclass(eq=False)
class Process:
    """Threads that live and die together."""

    name: str
    is_alive: bool = True
    paused_until_s: float = 0.0
    tasks: list["Task"] = field(default_factory=list)
    on_kill: list[Callable[[], None]] = field(default_factory=list)
    """What the kernel does: releases locks, closes pipes."""
    locks: int = 0
    """Files it holds locked."""
    looker: tuple[float, "Task", int] | None = None
    """Its thread that only looks now and then whether something happened here."""
    has_news: bool = False
    """Something happened while that thread was at something else."""


class Task:
    """One thread."""

    __slots__ = (
        "fiber",
        "is_done",
        "is_ready",
        "joiners",
        "process",
        "ticket",
    )

    def __init__(self, process: Process, fiber: greenlet.greenlet) -> None:
        self.process = process
        self.fiber = fiber
        self.ticket = 0
        """Counts its waits: a timer of an earlier wait is void."""
        self.is_ready = False
        self.is_done = False
        self.joiners: list[Task] = []


class World:
    """The clock and everything that runs in it."""

    def __init__(self, draw: random.Random) -> None:
        self.now_s = 1_000.0
        self.draw = draw
        self.crashes: list[str] = []
        self._hub = greenlet.getcurrent()
        self._ready: list[Task] = []
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._tasks: dict[greenlet.greenlet, Task] = {}

    # For the one who directs the night

    def run_until(self, is_over: Callable[[], bool], horizon_s: float) -> bool:
        """Let things happen until `is_over`; False when the horizon came first."""
        while True:
            while self._ready:
                self._step()
            if is_over():
                return True
            if not self._timers or self._timers[0][0] > horizon_s:
                self.now_s = max(self.now_s, horizon_s)
                return False
            at_s, _, act = heapq.heappop(self._timers)
            self.now_s = max(self.now_s, at_s)
            act()

    def at(self, at_s: float, act: Callable[[], None]) -> None:
        """Do something at that moment."""
        heapq.heappush(self._timers, (at_s, next(self._order), act))

    def spawn(self, process: Process, work: Callable[[], None]) -> Task:
        """A new thread of a process."""
        task = Task(process, greenlet.greenlet(self._guarded(work), self._hub))
        process.tasks.append(task)
        self._tasks[task.fiber] = task
        self.wake(task)
        return task

    def kill(self, process: Process) -> None:
        """SIGKILL: no thread of it takes another step."""
        if not process.is_alive:
            return
        process.is_alive = False
        for release in process.on_kill:
            release()

    def pause(self, process: Process, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after that time."""
        process.paused_until_s = max(process.paused_until_s, self.now_s + seconds)

    # For threads

    @property
    def task(self) -> Task | None:
        """The thread that runs now; None for whoever directs the night."""
        return self._tasks.get(greenlet.getcurrent())

    def wake(self, task: Task) -> None:
        """It may go on."""
        if not task.is_ready and not task.is_done:
            task.is_ready = True
            self._ready.append(task)

    def sleep(self, seconds: float | None) -> None:
        """Wait for `wake`, or for that time; None: only for `wake`."""
        task = self._waiting()
        if seconds is not None:
            self._wake_at(self.now_s + max(0.0, seconds), task, task.ticket)
        self._hub.switch()

    def look_again(self, seconds: float) -> None:
        """Wait like `sleep`, but sleep on until something `happened`.

        Ten hours of loops that look ten times a second whether something happened
        are ten hours of nothing.
        """
        task = self._waiting()
        task.process.looker = (self.now_s + seconds, task, task.ticket)
        if task.process.has_news:
            task.process.has_news = False
            self.happened(task.process)
        else:
            self._wake_at(self.now_s + max(IDLE_LOOK_S, seconds), task, task.ticket)
        self._hub.switch()

    def _waiting(self) -> Task:
        task = self.task
        assert task is not None
        task.ticket += 1
        return task

    def _wake_at(self, at_s: float, task: Task, ticket: int) -> None:
        def act() -> None:
            if task.ticket == ticket:
                self.wake(task)

        self.at(at_s, act)

    def happened(self, process: Process) -> None:
        """Something that its looking thread wants to see, at its next look."""
        if process.looker is None or process.looker[2] != process.looker[1].ticket:
            process.has_news = True
            return
        at_s, task, ticket = process.looker
        process.looker = None
        self._wake_at(max(at_s, self.now_s), task, ticket)

    def _step(self) -> None:
        chosen = self.draw.randrange(len(self._ready)) if len(self._ready) > 1 else 0
        task = self._ready[chosen]
        self._ready[chosen] = self._ready[-1]
        self._ready.pop()
        task.is_ready = False
        if not task.process.is_alive or task.is_done:
            return
        if task.process.paused_until_s > self.now_s:
            self._wake_at(task.process.paused_until_s, task, task.ticket)
            return
        task.ticket += 1
        task.fiber.switch()

    def _guarded(self, work: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                work()
            except Exception:  # noqa: BLE001 - told at the end of the night
                self.crashes.append(traceback.format_exc())
            task = self.task
            assert task is not None
            task.is_done = True
            for joiner in task.joiners:
                self.wake(joiner)
            self.happened(task.process)

        return run


class Threading:
    """What `import threading` gives to production code in this world."""

    def __init__(self, world: World) -> None:
        self._world = world

    # The names are those of the module it stands for.

    def Event(self) -> "Event":  # noqa: N802 - the standard library's name
        """A flag to wait for."""
        return Event(self._world)

    def Lock(self) -> "Lock":  # noqa: N802 - the standard library's name
        """One at a time."""
        return Lock(self._world)

    RLock = Lock

    def Condition(self) -> "Condition":  # noqa: N802 - the standard library's name
        """A lock to wait on."""
        return Condition(self._world)

    def Thread(self, *, target: Callable[[], None], **_: Any) -> "Thread":  # noqa: N802
        """A thread of the process that makes it."""
        return Thread(self._world, target)

    def current_thread(self) -> object:
        """Never the main thread: nobody may install signal handlers here."""
        return self

    def main_thread(self) -> object:
        """Somebody else."""
        return None


class Event:
    """threading.Event."""

    __slots__ = ("_is_set", "_waiting", "_world")

    def __init__(self, world: World) -> None:
        self._world = world
        self._is_set = False
        self._waiting: list[Task] = []

    def is_set(self) -> bool:
        """Whether it is set."""
        return self._is_set

    def set(self) -> None:
        """Wake whoever waits."""
        self._is_set = True
        for task in self._waiting:
            self._world.wake(task)
        self._waiting.clear()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set or the time is over."""
        if self._is_set or (timeout is not None and timeout <= 0):
            return self._is_set
        task = self._world.task
        assert task is not None
        self._waiting.append(task)
        self._world.sleep(timeout)
        if not self._is_set:
            self._waiting.remove(task)
        return self._is_set


class Lock:
    """threading.Lock, and RLock where nobody takes it twice."""

    __slots__ = ("_is_taken", "_waiting", "_world")

    def __init__(self, world: World) -> None:
        self._world = world
        self._is_taken = False
        self._waiting: list[Task] = []

    def acquire(self) -> bool:
        """Take it, waiting for it."""
        while self._is_taken:
            task = self._world.task
            assert task is not None
            self._waiting.append(task)
            self._world.sleep(None)
        self._is_taken = True
        return True

    def release(self) -> None:
        """Let the next one in."""
        self._is_taken = False
        if self._waiting:
            self._world.wake(self._waiting.pop(0))

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class Condition(Lock):
    """threading.Condition."""

    __slots__ = ("_sleeping",)

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._sleeping: list[Task] = []

    def wait(self) -> None:
        """Let go of the lock until somebody notifies."""
        task = self._world.task
        assert task is not None
        self._sleeping.append(task)
        self.release()
        self._world.sleep(None)
        self.acquire()

    def notify(self) -> None:
        """Wake one."""
        if self._sleeping:
            self._world.wake(self._sleeping.pop(0))

    def notify_all(self) -> None:
        """Wake all."""
        while self._sleeping:
            self.notify()


class Thread:
    """threading.Thread."""

    __slots__ = ("_target", "_task", "_world")

    def __init__(self, world: World, target: Callable[[], None]) -> None:
        self._world = world
        self._target = target
        self._task: Task | None = None

    def start(self) -> None:
        """Begin, in the process of whoever starts it."""
        starter = self._world.task
        assert starter is not None
        self._task = self._world.spawn(starter.process, self._target)

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self._task is not None and not self._task.is_done

    def join(self) -> None:
        """Wait for its end."""
        assert self._task is not None
        waiter = self._world.task
        assert waiter is not None
        while not self._task.is_done:
            self._task.joiners.append(waiter)
            self._world.sleep(None)
