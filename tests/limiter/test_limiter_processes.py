"""Real processes, real kills, real threads: counts stay exact."""

import itertools
import multiprocessing
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from multiprocessing.process import BaseProcess
from pathlib import Path

from limiter_fakes import due_s, place_in, want

from runner.clock import SystemClock
from runner.limiter import (
    Limiter,
    Permit,
    RefusalKind,
    RunCeilings,
    begin_session,
    rebuild_slot,
)
from runner.limiter.cell import Cell
from runner.limiter.pair import CellPair

SPAWN = multiprocessing.get_context("spawn")
CENT = Decimal("0.01")
BLOCK = 1500
SLOTS = (1, 2, 3)


def ask_for_a_while(folder: Path, slot: int, rpm: int | None, lasts_s: float) -> None:
    """Reserve and answer once all are there; the moments go into a file."""
    (folder / f"{slot}.ready").touch()
    for other in SLOTS:
        wait_for(folder / f"{other}.ready")
    until_s = time.monotonic() + lasts_s
    limiter = Limiter(place_in(folder, slot), RunCeilings(rpm=rpm), SystemClock())
    stop, moments = threading.Event(), []
    while time.monotonic() < until_s:
        permit = limiter.reserve(want(slot, usd="0.01"), stop)
        assert isinstance(permit, Permit)
        moments.append(due_s(permit))
        limiter.answered(permit, {}, None, CENT)
    limiter.settle()
    lines = "".join(f"{moment!r}\n" for moment in moments)
    (folder / f"{slot}.txt").write_text(lines)


def spend(folder: Path, slot: int, cap: str) -> None:
    """Spend cents until the budget says no; a byte for each before it is sent."""
    ceilings = RunCeilings(max_cost_usd=Decimal(cap))
    limiter = Limiter(place_in(folder, slot), ceilings, SystemClock())
    sent = os.open(folder / f"{slot}.sent", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    while True:
        permit = limiter.reserve(want(slot, usd="0.01"), threading.Event())
        if not isinstance(permit, Permit):
            assert permit.kind is RefusalKind.BUDGET
            return
        os.write(sent, b"x")
        limiter.answered(permit, {}, None, CENT)
        time.sleep(0.001)


def write_for_ever(path: Path) -> None:
    """Store blocks of one repeated byte."""
    cell = Cell(path, BLOCK)
    for number in itertools.count():
        if cell.try_lock():
            cell.load()
            cell.store(bytes([number % 256]) * BLOCK)
            cell.unlock()


def hold(folder: Path) -> None:
    """Take both cells and keep them."""
    cells = CellPair(place_in(folder, 2), SystemClock())
    assert cells._try()
    (folder / "held").touch()
    time.sleep(60)


@contextmanager
def running(*processes: BaseProcess) -> Iterator[None]:
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            if process.is_alive():
                process.kill()
            process.join()


def wait_for(path: Path) -> None:
    ends_s = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < ends_s
        time.sleep(0.01)


def test_processes_never_lose_or_double_a_count(tmp_path: Path) -> None:
    clock = SystemClock()
    begin_session(place_in(tmp_path), RunCeilings(), {}, clock)
    workers = [
        SPAWN.Process(target=ask_for_a_while, args=(tmp_path, slot, None, 1.0))
        for slot in SLOTS
    ]
    with running(*workers):
        for worker in workers:
            worker.join(30)
    asked = sum(len((tmp_path / f"{s}.txt").read_text().split()) for s in SLOTS)
    key, run = CellPair(place_in(tmp_path), clock).peek()
    assert asked > 100
    assert asked * 10**10 == run.lines.committed_pico
    assert (0, 0) == (run.lines.requests, run.lines.reserved_pico)
    assert asked == sum(key.requests.window.counts)
    assert asked == sum(run.requests.window.counts)


def test_processes_share_one_pace(tmp_path: Path) -> None:
    begin_session(place_in(tmp_path), RunCeilings(), {}, SystemClock())
    workers = [
        SPAWN.Process(target=ask_for_a_while, args=(tmp_path, slot, 6000, 1.0))
        for slot in SLOTS
    ]
    with running(*workers):
        for worker in workers:
            worker.join(30)
    texts = [(tmp_path / f"{slot}.txt").read_text() for slot in SLOTS]
    moments = sorted(float(line) for text in texts for line in text.split())
    interval_s = 60.25 / (6000 - 18)
    assert len(moments) > 50
    for first, nineteenth_later in zip(moments, moments[19:], strict=False):
        assert nineteenth_later - first >= interval_s - 1e-6


def test_the_cap_holds_to_the_cent_through_random_kills(tmp_path: Path) -> None:
    """A killed worker's line is rebuilt from what it wrote down, at its worst."""
    cap, clock = "10", SystemClock()
    begin_session(place_in(tmp_path), RunCeilings(max_cost_usd=Decimal(cap)), {}, clock)

    def worker(slot: int) -> BaseProcess:
        (tmp_path / f"{slot}.sent").touch()
        return SPAWN.Process(target=spend, args=(tmp_path, slot, cap))

    def sent(slot: int) -> int:
        return (tmp_path / f"{slot}.sent").stat().st_size

    draw, kills = random.Random(3), 0
    for _ in range(4):
        victims = [worker(1), worker(2)]
        enough = sent(1) + sent(2) + 40
        with running(*victims):
            while sent(1) + sent(2) < enough:
                assert any(victim.is_alive() for victim in victims)
                time.sleep(0.002)
            time.sleep(draw.uniform(0, 0.02))
            kills += sum(victim.is_alive() for victim in victims)
        for slot in (1, 2):
            rebuild_slot(place_in(tmp_path), slot, CENT * sent(slot), clock)
    last = [worker(1), worker(2)]
    with running(*last):
        for survivor in last:
            survivor.join(60)
    assert 8 == kills
    assert [0, 0] == [survivor.exitcode for survivor in last]
    assert 1000 == sent(1) + sent(2)


def test_a_writer_killed_at_any_moment_leaves_a_whole_copy(tmp_path: Path) -> None:
    path, draw = tmp_path / "a.cell", random.Random(5)
    cell = Cell(path, BLOCK)
    for _ in range(6):
        writer = SPAWN.Process(target=write_for_ever, args=(path,))
        with running(writer):
            changed_from = cell.peek().payload
            while cell.peek().payload == changed_from:
                time.sleep(0.002)
            time.sleep(draw.uniform(0, 0.03))
            assert writer.pid is not None
            os.kill(writer.pid, signal.SIGKILL)
            writer.join()
        began_s = time.monotonic()
        while not cell.try_lock():
            assert time.monotonic() - began_s < 2
        payload = cell.load().payload
        cell.unlock()
        assert payload
        assert BLOCK == payload.count(payload[0])


def test_a_stopped_holder_is_named_and_a_killed_one_is_forgotten(
    tmp_path: Path,
) -> None:
    holder = SPAWN.Process(target=hold, args=(tmp_path,))
    stop = threading.Event()

    class Hasty(SystemClock):
        """Runs 60 times faster."""

        def monotonic_s(self) -> float:
            return super().monotonic_s() * 60

    limiter = Limiter(place_in(tmp_path), RunCeilings(), Hasty())
    got: list[object] = []
    asker = threading.Thread(target=lambda: got.append(limiter.reserve(want(), stop)))
    with running(holder):
        wait_for(tmp_path / "held")
        assert holder.pid is not None
        os.kill(holder.pid, signal.SIGSTOP)
        asker.start()
        ends_s = time.monotonic() + 10
        while not limiter.blocked_by():
            assert time.monotonic() < ends_s
            time.sleep(0.01)
        assert f"process {holder.pid}, which holds" in (limiter.blocked_by() or "")
        assert limiter.pace().waiting_for is None
        assert got == []
        os.kill(holder.pid, signal.SIGKILL)
        asker.join(10)
    assert isinstance(got[0], Permit)
    assert limiter.blocked_by() is None


def test_a_thousand_threads_at_five_a_minute_go_home_before_the_next_turn(
    tmp_path: Path,
) -> None:
    """A turn is 12 s away; the machine may be busy."""
    limiter = Limiter(place_in(tmp_path), RunCeilings(rpm=5), SystemClock())
    stop, got = threading.Event(), []
    limiter.answered(_permit(limiter, stop), {}, None, None)
    threads = [
        threading.Thread(target=lambda: got.append(limiter.reserve(want(), stop)))
        for _ in range(1000)
    ]
    for thread in threads:
        thread.start()
    began_s = time.monotonic()
    stop.set()
    for thread in threads:
        thread.join(10)
    assert time.monotonic() - began_s < 10
    assert 1000 == len(got)
    assert not any(isinstance(one, Permit) for one in got)


def test_a_turn_abandoned_on_stop_is_given_back(tmp_path: Path) -> None:
    limiter = Limiter(place_in(tmp_path), RunCeilings(rpm=200), SystemClock())
    stop, never = threading.Event(), threading.Event()
    limiter.answered(_permit(limiter, never), {}, None, None)
    before = CellPair(place_in(tmp_path), SystemClock()).peek()[1]
    # The next turn is 0.3 s away: it is taken ahead, and slept on.
    threading.Timer(0.05, stop.set).start()
    assert not isinstance(limiter.reserve(want(), stop), Permit)
    after = CellPair(place_in(tmp_path), SystemClock()).peek()[1]
    assert before.requests.tat_ns == after.requests.tat_ns
    assert 0 == after.lines.requests


def test_fifty_threads_of_one_process_keep_exact_counts(tmp_path: Path) -> None:
    limiter = Limiter(place_in(tmp_path), RunCeilings(), SystemClock())
    stop = threading.Event()
    limiter.answered(_permit(limiter, stop), {}, None, CENT)

    def work() -> None:
        for _ in range(10):
            limiter.answered(_permit(limiter, stop), {}, None, CENT)

    threads = [threading.Thread(target=work) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    limiter.settle()
    run = CellPair(place_in(tmp_path), SystemClock()).peek()[1]
    assert 501 * 10**10 == run.lines.committed_pico
    assert 0 == run.lines.requests


def _permit(limiter: Limiter, stop: threading.Event) -> Permit:
    permit = limiter.reserve(want(usd="0.01"), stop)
    assert isinstance(permit, Permit)
    return permit
