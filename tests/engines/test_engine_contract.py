"""What every engine promises, told of each: nobody may notice which one runs."""

import dataclasses
import errno
import multiprocessing
import os
import signal
import socket
from multiprocessing.context import SpawnProcess
from pathlib import Path

import pytest
from listening import begun, recorded, work
from orphans import wait_for_orphans

from runner.checkpoint.locks import RunLock
from runner.checkpoint.reading import RunReader
from runner.checkpoint.rescue import RESCUE, RescueFile
from runner.checkpoint.shard import shard_folder
from runner.clock import SystemClock
from runner.engines import load
from runner.engines.framing import Unframer, frame
from runner.errors import RunLocked, UsageError
from runner.limiter.pair import CellPair
from runner.protocols import Died, Engine, WorkerSettings
from runner.records import JsonObject
from runner.task import identity_digest
from runner.worker import main as worker
from runner.worker.wants import place_of


def descriptors() -> int:
    """How many this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_a_worker_answers_what_it_is_given_and_says_so_once_it_is_on_disk(
    engine: Engine, settings: WorkerSettings
) -> None:
    """Each answer beside its own item."""
    listener = begun(engine, settings)
    engine.send(1, work(range(20)))
    listener.until(lambda: len(listener.done) == 20)

    assert recorded(settings) == {number: str(number) for number in range(20)}
    assert sorted(listener.done) == list(range(20))

    engine.send(1, {"do": "drain"})
    listener.until(lambda: bool(listener.deaths))
    assert listener.deaths[0].is_clean
    assert "open" not in listener.said("progress")[-1]["totals"]  # type: ignore[operator]  # JSON


def test_a_worker_with_nothing_to_do_holds_no_permit(
    engine: Engine, settings: WorkerSettings
) -> None:
    """Its last answers would otherwise hold up dollars that others wait for."""
    place = place_of(settings.run_folder, settings.key_cell, 0)
    cells = CellPair(place, SystemClock())
    listener = begun(engine, settings)
    engine.send(1, work(range(20)))
    listener.until(lambda: len(listener.done) == 20)
    listener.until(lambda: cells.peek_run().lines.requests == 0)
    assert listener.deaths == []
    cells.close()


def test_a_draining_worker_finishes_what_is_in_flight_and_nothing_else(
    engine: Engine, settings: WorkerSettings
) -> None:
    """What was sent is recorded, the rest is left."""
    listener = begun(engine, settings)
    engine.send(1, work(range(20)))
    listener.until(lambda: len(listener.done) >= 1)
    engine.send(1, {"do": "drain"})
    listener.until(lambda: bool(listener.deaths))

    assert listener.deaths[0].is_clean
    assert sorted(listener.done) == sorted(recorded(settings))
    assert len(listener.done) < 20


def test_a_worker_whose_supervisor_hangs_up_records_what_is_in_flight(
    engine: Engine, settings: WorkerSettings
) -> None:
    """Until it has, a starter is kept out."""
    listener = begun(engine, settings)
    engine.send(1, work(range(20)))
    listener.until(lambda: len(listener.done) >= 1)
    lock = RunLock(settings.run_folder, 0.0)
    with pytest.raises(RunLocked):
        lock.wait_for_orphans(settings.run_folder)

    engine.close()
    wait_for_orphans(settings.run_folder)
    reader = RunReader(settings.run_folder, settings.run_id, [1], live=False)
    totals = reader.totals()
    reader.close()
    lock.release()

    assert totals.open == 0
    assert totals.answered >= len(listener.done)


def test_orders_to_a_slot_that_is_gone_are_no_error(engine: Engine) -> None:
    """Its death is already on the way."""
    engine.send(7, {"do": "drain"})
    engine.kill(7)

    assert list(engine.poll(0.01)) == []


@pytest.mark.parametrize("stage", ["socket.socketpair", "SpawnProcess.start"])
def test_a_worker_that_cannot_be_started_has_died_and_the_next_one_may_live(
    settings: WorkerSettings, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    """The machine is out of memory, processes or descriptors, for now."""

    def fail(*_: object) -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    engine = load("local")
    before = descriptors()
    with monkeypatch.context() as full:
        where = {"socket": socket, "SpawnProcess": SpawnProcess}
        owner, name = stage.split(".")
        full.setattr(where[owner], name, fail)
        engine.start(settings, "sk-test")
    why = "could not be started: Resource temporarily unavailable"
    assert engine.poll(60) == [Died(1, why, is_clean=False)]
    assert descriptors() == before

    listener = begun(engine, settings)
    engine.kill(1)
    listener.until(lambda: bool(listener.deaths))
    engine.close()


@pytest.mark.parametrize("by", ["its engine", "the machine, out of memory"])
@pytest.mark.parametrize(
    "child",
    [
        "os.fork() or sleep()",
        "os.system('sleep 120 & echo $! > pid')",
        # No hook of Python's sees this one.
        "ctypes.CDLL(None).fork() or sleep()",
    ],
)
def test_a_killed_worker_is_dead_although_a_child_of_the_users_code_lives_on(
    settings: WorkerSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    child: str,
    by: str,
) -> None:
    """Such as a pool's process in a task file: it may hold the worker's pipe open."""
    path, pid = tmp_path / "mine.py", tmp_path / "pid"
    path.write_text(
        "import ctypes, os, time\n"
        "def sleep():\n"
        "    open('pid', 'w').write(str(os.getpid()))\n"
        "    time.sleep(120)\n"
        "    os._exit(0)\n"
        f"{child}\n"
        "def get_prompt(item): return str(item['id'])\n"
    )
    monkeypatch.chdir(tmp_path)
    task = dataclasses.replace(settings.config.task, prompt=None, task_path=path)
    config = dataclasses.replace(settings.config, task=task)
    forking = dataclasses.replace(
        settings, config=config, task_digest=identity_digest(task)
    )
    engine = load("local")
    listener = begun(engine, forking)
    try:
        kill(engine, by)
        listener.until(lambda: bool(listener.deaths))
    finally:
        os.kill(int(pid.read_text()), signal.SIGKILL)
        engine.close()
    assert "SIGKILL" in listener.deaths[0].why


def kill(engine: Engine, by: str) -> None:
    """The worker in slot 1."""
    if by == "its engine":
        engine.kill(1)
    else:
        worker = next(c for c in multiprocessing.active_children())
        worker.kill()


@pytest.mark.parametrize("own", [None, "glibc.malloc.arena_max=3"])
def test_threads_of_a_worker_keep_no_freed_memory_for_themselves(
    settings: WorkerSettings, monkeypatch: pytest.MonkeyPatch, own: str | None
) -> None:
    """Five hundred of them would hold tens of megabytes; nobody else is touched."""
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    if own:
        monkeypatch.setenv("GLIBC_TUNABLES", own)
    engine = load("local")
    listener = begun(engine, settings)
    worker = next(c for c in multiprocessing.active_children() if c.name == "slot 1")
    began_with = Path(f"/proc/{worker.pid}/environ").read_text()
    engine.kill(1)
    listener.until(lambda: bool(listener.deaths))
    engine.close()

    # The loader cuts the words apart in place.
    wanted = "\0".join(filter(None, ["glibc.malloc.tcache_count=0", own]))
    assert f"GLIBC_TUNABLES={wanted}\0" in began_with.replace(":", "\0")
    assert os.environ.get("GLIBC_TUNABLES") == own


def test_an_unknown_engine_is_named() -> None:
    """With those there are."""
    with pytest.raises(UsageError, match="local"):
        load("cluster")


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_messages_survive_any_cutting_of_the_stream(size: int) -> None:
    """A pipe keeps no boundaries."""
    messages = [{"is": "progress", "done": [n], "text": "ü\n"} for n in range(20)]
    stream = b"".join(frame(message) for message in messages)
    unframer = Unframer()

    found = [
        message
        for start in range(0, len(stream), size)
        for message in unframer.feed(stream[start : start + size])
    ]

    assert found == messages


class HungUp:
    """The pipe of a worker whose supervisor died while the worker was starting."""

    def __init__(self, *last_words: JsonObject) -> None:
        self.sent: list[JsonObject] = []
        self._left = list(last_words)

    def receive(self, _timeout_s: float) -> list[JsonObject] | None:
        """What it said last, and then nobody is there."""
        words, self._left = self._left, []
        return words or None

    def send(self, message: JsonObject) -> None:
        """Nobody hears it."""
        self.sent.append(message)


@pytest.mark.parametrize("last_words", [[], [{"do": "drain"}], [{"do": "abandon"}]])
def test_a_worker_that_starts_after_its_supervisor_died_leaves_everything_alone(
    settings: WorkerSettings, last_words: list[JsonObject]
) -> None:
    """A second session may be at work in its slot by then."""
    shard = shard_folder(settings.run_folder, settings.slot)
    RescueFile(shard, 4096)
    channel = HungUp(*last_words)

    worker.work(settings, "sk-test", channel)

    assert 4096 == (shard / RESCUE).stat().st_size
    assert [{"is": "bye"}] == channel.sent


def test_a_worker_has_as_many_calls_under_way_as_it_is_allowed(
    engine: Engine, settings: WorkerSettings
) -> None:
    """None at first; the items wait until an order lets callers at them."""
    listener = begun(engine, dataclasses.replace(settings, allowed=0))
    engine.send(1, work(range(6)))
    listener.until(lambda: bool(listener.said("progress")))
    assert listener.done == []

    engine.send(1, {"do": "allow", "threads": 3})
    listener.until(lambda: len(listener.done) == 6)
    loads = [m["load"] for m in listener.said("progress")]

    assert sum(load["finished"] for load in loads) == 6  # type: ignore[index]  # JSON
    assert all(load["under_way"] <= 3 for load in loads)  # type: ignore[index]  # JSON


def test_a_worker_without_callers_has_a_place_for_replies_all_the_same(
    engine: Engine, settings: WorkerSettings
) -> None:
    """It may get callers later, and a full disk."""
    begun(engine, dataclasses.replace(settings, allowed=0))
    shard = shard_folder(settings.run_folder, settings.slot)
    assert (shard / RESCUE).stat().st_size > 0


def test_a_worker_gives_back_what_it_has_not_begun(
    engine: Engine, settings: WorkerSettings
) -> None:
    """The last of its queue; nothing of them is on disk."""
    listener = begun(engine, dataclasses.replace(settings, allowed=0))
    engine.send(1, work(range(6)))
    engine.send(1, {"do": "return", "most": 4})
    engine.send(1, {"do": "allow", "threads": 2})
    listener.until(lambda: len(listener.done) == 2)
    returned = [row for m in listener.said("progress") for row in m["pending"]]  # type: ignore[attr-defined]  # JSON

    assert sorted(returned) == [2, 3, 4, 5]
    assert sorted(recorded(settings)) == [0, 1]
