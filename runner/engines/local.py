"""Workers as processes on this machine.

Spawned, never forked: a client inherited through fork handed children other items'
answers (16 of 600, without an error). No Pool, Queue or Lock: a killed worker hangs
or breaks them. Each worker has one pipe of its own; its end of file is the one sign
that the supervisor, or the worker, is gone: no child of theirs may hold it too.

Floor: the run.
"""

import contextlib
import gc
import multiprocessing
import multiprocessing.connection
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.context import SpawnProcess

from runner import forks
from runner.engines.framing import Unframer, frame
from runner.engines.spawned import UNGUARDED
from runner.errors import UsageError
from runner.protocols import Died, Event, Said, WorkerSettings
from runner.records import JsonObject

_PIECE = 1 << 16
# Threads that wait for a network answer must not take the GIL from each other
# every 5 ms: at 2 x 256 threads 62 requests/s became 945 with 0.1 s.
_SWITCH_INTERVAL_S = 0.1
_TUNABLES = "GLIBC_TUNABLES"
# Each thread keeps what it freed for itself (glibc's manual, "Memory Allocation
# Tunables"): with 500 threads 28 MB a worker that grow all night. Threads that take
# turns have no use for it: 30,000 items took as much CPU without.
_NO_THREAD_CACHE = "glibc.malloc.tcache_count=0"
_COLLECT_AFTER = 50_000, 20, 100
"""Objects and generations: several hundred threads always have thousands in hand."""


def create() -> "LocalEngine":
    """A new engine without workers."""
    return LocalEngine()


@dataclass(slots=True)
class _Worker:
    process: SpawnProcess
    pipe: socket.socket
    unframer: Unframer = field(default_factory=Unframer)
    outgoing: bytearray = field(default_factory=bytearray)
    said_goodbye: bool = False


class LocalEngine:
    """One process per slot."""

    def __init__(self) -> None:
        self._workers: dict[int, _Worker] = {}
        self._selector = selectors.DefaultSelector()
        self._deaths: list[Event] = []

    def start(self, settings: WorkerSettings, api_key: str) -> None:
        """Start a worker process in `settings.slot`.

        One that cannot be started, for want of memory, processes or descriptors, has
        `Died`: there may be room later in the night.
        """
        try:
            self._workers[settings.slot] = worker = _spawned(settings, api_key)
        except OSError as error:
            why = f"could not be started: {error.strerror}"
            self._deaths.append(Died(settings.slot, why, is_clean=False))
            return
        self._selector.register(worker.pipe, selectors.EVENT_READ, settings.slot)

    def send(self, slot: int, order: JsonObject) -> None:
        """Queue an order and write what the pipe takes now; never blocks."""
        worker = self._workers.get(slot)
        if worker:
            worker.outgoing += frame(order)
            self._flush(slot, worker)

    def poll(self, timeout_s: float) -> list[Event]:
        """What has happened; waits at most `timeout_s` for the first event.

        Raises UsageError if a worker could not import the script without running it.
        """
        events, self._deaths = self._deaths, []
        for key, mask in self._selector.select(0 if events else timeout_s):
            slot: int = key.data
            worker = self._workers[slot]
            if mask & selectors.EVENT_WRITE:
                self._flush(slot, worker)
            if mask & selectors.EVENT_READ:
                events += self._read(slot, worker) or ()
        return events + self._ended()

    def kill(self, slot: int) -> None:
        """SIGKILL the worker; `Died` follows from `poll`."""
        worker = self._workers.get(slot)
        if worker:
            worker.process.kill()

    def wake(self, slot: int) -> None:
        """SIGCONT: without effect on one that runs (signal(7))."""
        worker = self._workers.get(slot)
        if worker and worker.process.pid and worker.process.is_alive():
            os.kill(worker.process.pid, signal.SIGCONT)

    def close(self) -> None:
        """Release pipes; workers that still live see the end of file."""
        for slot in list(self._workers):
            self._forget(slot)
        self._selector.close()

    def _ended(self) -> list[Event]:
        """Deaths that no end of file tells of: a child may hold the pipe as well."""
        events: list[Event] = []
        for slot, worker in list(self._workers.items()):
            if worker.process.exitcode is not None:
                events += self._last_words(slot, worker)
        return events

    def _last_words(self, slot: int, worker: _Worker) -> Iterator[Event]:
        while slot in self._workers:
            said = self._read(slot, worker)
            yield from [self._reap(slot, worker)] if said is None else said

    def _read(self, slot: int, worker: _Worker) -> list[Event] | None:
        """What it said, or that it is gone; None: nothing is there to read."""
        try:
            piece = worker.pipe.recv(_PIECE)
        except BlockingIOError:
            return None
        except ConnectionError:
            piece = b""
        if not piece:
            return [self._reap(slot, worker)]
        messages = worker.unframer.feed(piece)
        worker.said_goodbye |= any(m["is"] == "bye" for m in messages)
        return [Said(slot, message) for message in messages]

    def _reap(self, slot: int, worker: _Worker) -> Died:
        worker.process.join(timeout=5)
        if worker.process.exitcode is None:
            # It closed its pipe but does not end: nothing useful can follow.
            worker.process.kill()
            worker.process.join()
        code = worker.process.exitcode
        self._forget(slot)
        if code == UNGUARDED:
            raise UsageError(
                "the script that starts this run starts it again in every worker,"
                " because workers import it",
                'put the call under `if __name__ == "__main__":`',
            )
        return Died(slot, _why(code), is_clean=worker.said_goodbye and code == 0)

    def _forget(self, slot: int) -> None:
        worker = self._workers.pop(slot)
        self._selector.unregister(worker.pipe)
        forks.closed(worker.pipe)
        worker.pipe.close()

    def _flush(self, slot: int, worker: _Worker) -> None:
        with contextlib.suppress(BlockingIOError):
            try:
                while worker.outgoing:
                    sent = worker.pipe.send(worker.outgoing)
                    del worker.outgoing[:sent]
            except ConnectionError:
                # Dead: what it was told is handed out again after its end of file.
                worker.outgoing.clear()
        wanted = selectors.EVENT_READ
        if worker.outgoing:
            wanted |= selectors.EVENT_WRITE
        self._selector.modify(worker.pipe, wanted, slot)


def _spawned(settings: WorkerSettings, api_key: str) -> _Worker:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    process = multiprocessing.get_context("spawn").Process(
        target=_child,
        args=(settings, api_key, theirs),
        name=f"slot {settings.slot}",
    )
    # Only the child holds its end afterwards: its death is our end of file.
    with contextlib.ExitStack() as unless_it_lives, theirs:
        unless_it_lives.callback(ours.close)
        with _signals_blocked(), _tuned_allocator():
            process.start()
        unless_it_lives.pop_all()
    forks.close_in_children(ours, ours.close)
    return _Worker(process, ours)


class _PipeChannel:
    """The worker's end."""

    def __init__(self, pipe: socket.socket) -> None:
        self._pipe = pipe
        self._unframer = Unframer()
        self._is_alone = False

    def receive(self, timeout_s: float) -> list[JsonObject] | None:
        """Orders that have come; None once the supervisor is gone."""
        if self._is_alone:
            # A pipe at its end is always readable: an orphan that records its last
            # answers would otherwise turn in circles on a whole core.
            time.sleep(timeout_s)
            return None
        if not multiprocessing.connection.wait([self._pipe], timeout_s):
            return []
        try:
            piece = self._pipe.recv(_PIECE)
        except ConnectionError:
            piece = b""
        self._is_alone = not piece
        return None if self._is_alone else self._unframer.feed(piece)

    def send(self, message: JsonObject) -> None:
        """Send; a supervisor that is gone is noticed by `receive`."""
        with contextlib.suppress(ConnectionError):
            self._pipe.sendall(frame(message))


def _child(settings: WorkerSettings, api_key: str, pipe: socket.socket) -> None:
    # The pipe is the only order: terminals and systemd signal the whole group.
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    # It came here as inheritable, and a program that the user's code starts has it.
    pipe.set_inheritable(False)
    forks.close_in_children(pipe, pipe.close)
    # Late: the supervisor's process needs no SDK.
    from runner.worker.main import work  # noqa: PLC0415

    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    # What is imported by now stays: the SDK's objects need not be gone through at
    # every collection (8 % of a run's CPU with two workers of 500 threads).
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)
    try:
        work(settings, api_key, _PipeChannel(pipe))
    except Exception:  # noqa: BLE001 - told through the pipe, and without the key
        os._exit(1)
    # All is recorded and closed. Threads may still wait for answers that nobody wants
    # any more, and the user's code may have some that never end.
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(0)


@contextlib.contextmanager
def _tuned_allocator() -> Iterator[None]:
    """Have a child begin with these settings: only its loader reads them."""
    before = os.environ.get(_TUNABLES)
    # The user's own come last: they win.
    os.environ[_TUNABLES] = ":".join(filter(None, (_NO_THREAD_CACHE, before)))
    try:
        yield
    finally:
        if before is None:
            del os.environ[_TUNABLES]
        else:
            os.environ[_TUNABLES] = before


@contextlib.contextmanager
def _signals_blocked() -> Iterator[None]:
    """Keep a signal from killing a child before it ignores them.

    The mask is inherited, so the child never gets them; ours wait until we are out.
    """
    blocked = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _why(code: int | None) -> str:
    if code is not None and code < 0:
        hint = " (out of memory?)" if code == -signal.SIGKILL else ""
        return f"killed by {signal.Signals(-code).name}{hint}"
    return f"ended with exit code {code}"
