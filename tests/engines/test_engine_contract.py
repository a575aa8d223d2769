"""What every engine promises, told of each: nobody may notice which one runs."""

import dataclasses
import errno
import json
import multiprocessing
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.context import SpawnProcess
from pathlib import Path

import pytest

from runner.checkpoint.locks import RunLock
from runner.checkpoint.manifest import Manifest
from runner.checkpoint.reading import RunReader
from runner.checkpoint.rescue import RESCUE, RescueFile
from runner.checkpoint.shard import shard_folder
from runner.clock import SystemClock
from runner.config import Pacing, RunConfig, Service, TaskSpec, default_output
from runner.engines import load
from runner.engines.framing import Unframer, frame
from runner.errors import RunLocked, UsageError
from runner.limiter import begin_session
from runner.limiter.pair import CellPair
from runner.protocols import Died, Engine, Event, Said, WorkerSettings
from runner.records import JsonObject
from runner.session.starting import create_run
from runner.simulator import Simulator, launch
from runner.task import identity_digest
from runner.worker import main as worker
from runner.worker.wants import ceilings_of, place_of


@pytest.fixture(params=["inline", "local"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Each engine in turn."""
    loaded = load(request.param)
    yield loaded
    loaded.close()


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Simulator]:
    """A server that echoes after a fifth of a second."""
    scenario = "latency=0.2,latency_spread=0,answer=echo"
    with launch(scenario, tmp_path / "ledger.jsonl", 1) as running:
        yield running


@pytest.fixture
def settings(tmp_path: Path, simulator: Simulator) -> WorkerSettings:
    """Worker 1 of a run of twenty items, with four threads."""
    items = tmp_path / "items.jsonl"
    items.write_text("".join(json.dumps({"id": n}) + "\n" for n in range(20)))
    config = RunConfig(
        items_path=items,
        task=TaskSpec(prompt="{{id}}", model="gpt-4o-mini"),
        service=Service(base_url=simulator.base_url),
        pacing=Pacing(workers=1, threads=4),
        output=default_output(items),
    )
    clock = SystemClock()
    folder = create_run(
        config,
        name=None,
        state_dir=tmp_path / "state",
        new=False,
        clock=clock,
        on_progress=None,
    )
    manifest = Manifest.load(folder).with_shard(folder, 1)
    key_cell = tmp_path / "key.cell"
    ceilings = ceilings_of(config.pacing)
    begin_session(place_of(folder, key_cell, 0), ceilings, {}, clock)
    return WorkerSettings(
        run_folder=folder,
        run_id=manifest.run_id,
        slot=1,
        threads=4,
        allowed=4,
        key_cell=key_cell,
        config=manifest.config,
        task_digest=identity_digest(manifest.config.task),
    )


class Listener:
    """Polls an engine and keeps what it said."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.events: list[Event] = []

    def until(self, is_enough: Callable[[], bool]) -> None:
        """Poll until that is so."""
        deadline_s = time.monotonic() + 60
        while not is_enough():
            assert time.monotonic() < deadline_s, self.events[-3:]
            self.events += self.engine.poll(0.1)

    def said(self, what: str) -> list[dict[str, object]]:
        """Messages of that kind."""
        return [
            event.message
            for event in self.events
            if isinstance(event, Said) and event.message["is"] == what
        ]

    @property
    def done(self) -> list[int]:
        """Rows told as done."""
        return [row for m in self.said("progress") for row in m["done"]]  # type: ignore[attr-defined]  # JSON

    @property
    def deaths(self) -> list[Died]:
        """Workers that are gone."""
        return [event for event in self.events if isinstance(event, Died)]


def work(rows: range) -> dict[str, object]:
    """An order to walk those rows."""
    return {"do": "work", "rows": list(rows), "histories": {}}


def begun(engine: Engine, settings: WorkerSettings) -> Listener:
    """A listener to a worker that is ready."""
    listener = Listener(engine)
    engine.start(settings, "sk-test")
    listener.until(lambda: bool(listener.said("ready")))
    return listener


def descriptors() -> int:
    """How many this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def recorded(settings: WorkerSettings) -> dict[int, str]:
    """Item number → response on disk."""
    reader = RunReader(settings.run_folder, settings.run_id, [1], live=False)
    found = {o.number: json.loads(r)["response"] for o, r in reader.outcomes()}
    reader.close()
    return found


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
    wait_for_orphans(lock, settings.run_folder)
    reader = RunReader(settings.run_folder, settings.run_id, [1], live=False)
    totals = reader.totals()
    reader.close()
    lock.release()

    assert totals.open == 0
    assert totals.answered >= len(listener.done)


def wait_for_orphans(lock: RunLock, run_folder: Path) -> None:
    """Until the last worker has recorded everything."""
    deadline_s = time.monotonic() + 30
    while True:
        try:
            lock.wait_for_orphans(run_folder)
        except RunLocked:
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        else:
            return


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

    worker.work(settings, "sk-test", channel, abandon=threading.Event())

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
