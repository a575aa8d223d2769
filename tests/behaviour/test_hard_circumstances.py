"""Stopped processes, no more threads, a file cut short, a supervisor that dies."""

import os
import signal
import threading
import time
from collections.abc import Callable

import pytest
from bench import KEY, Bench, children_of, wait_until

import runner
from runner.limiter.cell import Cell

MakeBench = Callable[[str], Bench]
LATENCY_S = 0.5
SLOW = f"latency={LATENCY_S},latency_spread=0"


def held_key_cell(bench: Bench) -> Cell:
    """The key's cell, locked by this process for as long as it likes."""
    path = next((bench.folder / "xdg" / "runner" / "limits").glob("*.cell"))
    cell = Cell(path, 1000)
    cell._size = path.stat().st_size
    wait_until(cell.try_lock)
    return cell


def test_a_held_key_is_named_in_status_and_log_and_does_not_hold_up_ctrl_c(
    make_bench: MakeBench,
) -> None:
    """Another run on the key was stopped with Ctrl-Z at the wrong moment."""
    bench = make_bench(SLOW)
    process = bench.start(bench.items(400))
    bench.wait_for_answers(30)
    held_key_cell(bench)

    me = f"process {os.getpid()}, which holds"
    wait_until(lambda: me in (bench.status()["waiting_for"] or ""), 20)
    assert me in (bench.state / "items" / "runner.log").read_text()
    began_s = time.monotonic()
    os.kill(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=30)

    assert process.returncode == 130, output
    assert time.monotonic() - began_s < LATENCY_S + 2 + 2  # a busy machine
    assert bench.audit().paid_twice == set()


def test_a_worker_that_dies_while_the_key_is_held_does_not_hold_up_ctrl_c(
    make_bench: MakeBench,
) -> None:
    """Its dollars are put right later; the supervisor goes on listening."""
    bench = make_bench(SLOW)
    process = bench.start(
        bench.items(400), "--max-cost", 5, "--param", "max_tokens=300"
    )
    bench.wait_for_answers(30)
    held_key_cell(bench)
    os.kill(children_of(process.pid)[0], signal.SIGKILL)
    time.sleep(1)
    began_s = time.monotonic()
    os.kill(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=30)

    assert process.returncode == 130, output
    assert time.monotonic() - began_s < LATENCY_S + 2 + 2


def test_limits_cut_short_under_a_live_run_stop_it_and_resume_goes_on(
    make_bench: MakeBench,
) -> None:
    """Neither a dead process nor money beyond the cap."""
    bench = make_bench(SLOW)
    capped = ("--max-cost", 5, "--param", "max_tokens=300")
    process = bench.start(bench.items(600), *capped)
    bench.wait_for_answers(30)
    deadline_s = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline_s:
        # Whoever is just changing it writes it anew, as good as it was.
        os.truncate(bench.state / "items" / "limits.cell", 0)
        time.sleep(0.5)
    output, _ = process.communicate(timeout=30)

    assert process.returncode == 4, output
    assert "Traceback" not in output
    assert "runner resume" in output
    assert bench.audit().paid_twice == set()

    bench.scenario(latency=0.05)
    assert bench.run("resume", "items").code == 0
    assert bench.audit().paid_twice == set()


def test_without_a_supervisor_nothing_new_starts_within_a_second_at_full_load(
    make_bench: MakeBench,
) -> None:
    """Also where threads wait for a permit and items wait for threads."""
    bench = make_bench("latency=0.3,latency_spread=0.2")
    sizes = ("--workers", 8, "--threads", 8, "--rpm", 3000)
    process = bench.start(bench.items(3000), *sizes)
    bench.wait_for_answers(120)
    os.kill(process.pid, signal.SIGKILL)
    killed_unix_s = time.time()
    process.communicate(timeout=60)

    late_s = [line["received_unix_s"] - killed_unix_s for line in bench.ledger()]
    assert max(late_s) < 1
    assert bench.audit().paid_twice == set()


@pytest.mark.parametrize("given", [0, 2])
def test_a_system_short_of_threads_loses_no_item(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch, given: int
) -> None:
    """It goes on with what it got; without any it says what to do."""
    bench = make_bench("latency=0.02")
    left = [given]
    start = threading.Thread.start

    def scarce(thread: threading.Thread) -> None:
        if thread.name.startswith("caller"):
            if not left[0]:
                raise RuntimeError("can't start new thread")
            left[0] -= 1
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", scarce)
    monkeypatch.setenv("XDG_STATE_HOME", str(bench.folder / "xdg"))
    finish = runner.run(
        bench.items(20),
        prompt="Echo {{text}}",
        model="gpt-4o-mini",
        base_url=bench.simulator.base_url,
        api_key=KEY,
        workers=1,
        threads=8,
        engine="inline",
        state_dir=bench.state,
    )

    if given:
        assert finish.stop is None
        log = (bench.state / "items" / "runner.log").read_text()
        assert log.count("goes on with 2 threads") == 1
    else:
        assert finish.stop is not None
        assert "ulimit -u" in (finish.stop.hint or "")
        assert finish.status.pending == 20


def test_a_stopped_worker_of_ones_own_goes_on_to_drain(make_bench: MakeBench) -> None:
    """Its answers under way are recorded instead of being paid for again."""
    bench = make_bench(SLOW)
    process = bench.start(bench.items(400))
    bench.wait_for_answers(30)
    os.kill(children_of(process.pid)[0], signal.SIGSTOP)
    wait_until(lambda: bench.in_flight() == 0 or len(bench.ledger()) > 60)
    began_s = time.monotonic()
    os.kill(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=30)

    assert process.returncode == 130, output
    assert time.monotonic() - began_s < LATENCY_S + 2 + 2
    assert bench.audit().paid_twice == set()
