"""Ctrl-C, SIGTERM, SIGKILL, a dead worker: what was recorded is never asked again."""

import os
import signal
import time
from collections.abc import Callable

import pytest
from bench import Audit, Bench, children_of, wait_until

from runner.api import Run
from runner.errors import RunLocked

MakeBench = Callable[[str], Bench]
LATENCY_S = 0.5
SLOW = f"latency={LATENCY_S},latency_spread=0,invalid=0.1"
ITEMS = 120
IN_FLIGHT = 16


def assert_complete(bench: Bench, audit: Audit) -> None:
    """Every item has an outcome and the file is in the order of the items."""
    assert len(audit.outcomes) == ITEMS
    assert [f"i{n}" for n in range(ITEMS)] == [line["id"] for line in bench.output()]
    assert audit.unknown == set()
    assert (audit.duplicates, audit.foreign) == (0, 0)


@pytest.mark.parametrize(
    ("number", "to_group", "code"),
    [
        (signal.SIGINT, True, 130),
        (signal.SIGINT, False, 130),
        (signal.SIGTERM, True, 143),
    ],
)
def test_an_interrupted_run_drains_and_nothing_is_paid_twice(
    make_bench: MakeBench, number: signal.Signals, to_group: bool, code: int
) -> None:
    """A terminal and systemd signal every process of the group at once."""
    bench = make_bench(SLOW)
    process = bench.start(bench.items(ITEMS))
    bench.wait_for_answers(30)

    (os.killpg if to_group else os.kill)(process.pid, number)
    began_s = time.monotonic()
    output, _ = process.communicate(timeout=30)
    took_s = time.monotonic() - began_s
    interrupted = bench.audit()

    assert process.returncode == code, output
    assert took_s < LATENCY_S + 2 + 2  # the machine of the tests is busy
    assert interrupted.paid_twice == set()
    assert interrupted.recorded == interrupted.billed
    assert "resume" in output

    done = bench.run("resume", "items")
    finished = bench.audit()

    assert done.code == 0, done.output
    assert finished.paid_twice == set()
    assert_complete(bench, finished)


def test_after_kill_9_of_everything_status_names_what_may_be_paid_twice(
    make_bench: MakeBench,
) -> None:
    """At most what was in flight, and said before anything is sent again."""
    bench = make_bench(SLOW)
    process = bench.start(bench.items(ITEMS))
    bench.wait_for_answers(30)

    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    killed = bench.audit()
    status = bench.status()
    unresolved = status["requests"]["unresolved"]

    assert status["state"] == "dead"
    assert 0 < unresolved <= IN_FLIGHT
    assert len(killed.paid_twice) <= unresolved

    done = bench.run("resume", "items")
    finished = bench.audit()

    assert done.code == 0, done.output
    assert len(finished.paid_twice) <= unresolved
    assert finished.recorded >= killed.recorded
    assert bench.status()["requests"]["lost"] == unresolved
    assert_complete(bench, finished)


def test_when_only_the_supervisor_dies_its_workers_finish_and_record(
    make_bench: MakeBench,
) -> None:
    """No answer is lost; until they are done a second session is refused."""
    bench = make_bench("latency=2,latency_spread=0")
    process = bench.start(bench.items(ITEMS))
    wait_until(lambda: bench.in_flight() == IN_FLIGHT)

    os.kill(process.pid, signal.SIGKILL)
    killed_unix_s = time.time()
    with pytest.raises(RunLocked):
        Run.open("items", bench.state).work(api_key="unused")
    process.communicate()  # ends when the last worker has closed its output
    drained = bench.audit()

    assert drained.paid_twice == set()
    late = [
        line for line in bench.ledger() if line["received_unix_s"] > killed_unix_s + 1
    ]
    assert late == []
    assert bench.status()["requests"]["unresolved"] == 0

    bench.scenario(latency=0.05)
    assert bench.run("resume", "items").code == 0
    finished = bench.audit()
    assert finished.paid_twice == set()
    assert_complete(bench, finished)


def test_a_worker_killed_alone_is_replaced_and_the_run_goes_on(
    make_bench: MakeBench,
) -> None:
    """It costs the answers in flight there; nothing recorded is asked again."""
    bench = make_bench(SLOW)
    process = bench.start(bench.items(ITEMS))
    bench.wait_for_answers(30)
    before = children_of(process.pid)

    os.kill(before[0], signal.SIGKILL)
    wait_until(lambda: len(set(children_of(process.pid)) - set(before)) == 1, 5)
    output, _ = process.communicate(timeout=120)
    audit = bench.audit()

    assert process.returncode == 0, output
    assert len(audit.paid_twice) <= IN_FLIGHT / 2
    assert {key[0] for key in audit.paid_twice} <= set(audit.outcomes)
    assert_complete(bench, audit)


def test_a_second_ctrl_c_stops_waiting_and_says_what_stays_unresolved(
    make_bench: MakeBench,
) -> None:
    """More than two seconds after the first; sooner is the same press."""
    bench = make_bench("latency=60,latency_max=60,latency_spread=0")
    process = bench.start(bench.items(ITEMS))
    wait_until(lambda: bench.in_flight() > 0)

    os.kill(process.pid, signal.SIGINT)
    time.sleep(2.5)
    assert process.poll() is None
    os.kill(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=20)

    assert process.returncode == 130, output
    unresolved = bench.status()["requests"]["unresolved"]
    assert unresolved > 0
    assert f"{unresolved}" in output


def test_runner_stop_drains_from_another_terminal(make_bench: MakeBench) -> None:
    """The same as Ctrl-C, and it waits until the run has stopped."""
    bench = make_bench(SLOW)
    process = bench.start(bench.items(10 * ITEMS))
    bench.wait_for_answers(20)

    stopped = bench.run("stop", "items")
    output, _ = process.communicate(timeout=30)

    assert (stopped.code, process.returncode) == (0, 143), output
    assert bench.audit().paid_twice == set()
