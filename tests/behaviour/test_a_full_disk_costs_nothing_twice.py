"""The disk fills up in the middle of a run: what is in flight is kept all the same."""

import re
from collections.abc import Callable, Iterator

import pytest
from bench import Bench, wait_until
from small_disk import SmallDisk, mounted

MakeBench = Callable[[str], Bench]
ITEMS = 120
IN_FLIGHT = 16


@pytest.fixture
def bench(make_bench: MakeBench) -> Bench:
    """A server that takes its time, so that much is in flight."""
    return make_bench("latency=1.5,latency_spread=0,invalid=0.2")


@pytest.fixture
def disk(bench: Bench) -> Iterator[SmallDisk]:
    """The disk of the state folder."""
    with mounted(bench.state, 24) as disk:
        yield disk


def test_answers_that_come_in_on_a_full_disk_are_not_paid_for_again(
    bench: Bench, disk: SmallDisk
) -> None:
    """They are told as answered at once, and judged by the resume."""
    process = bench.start(bench.items(ITEMS), "--min-free", 0)
    bench.wait_for_answers(30)
    wait_until(lambda: bench.in_flight() > IN_FLIGHT / 2)

    disk.fill()
    output, _ = process.communicate(timeout=60)
    stopped = bench.audit()
    status = bench.status()
    sent = len(bench.ledger())

    assert process.returncode == 4, output
    assert stopped.paid_twice == set()
    assert status["state"] == "stopped"
    # As SQLite says it, or as the system does: whoever meets it first.
    assert re.search("disk is full|No space left", status["stopped_because"])
    assert status["requests"]["unresolved"] == 0
    assert status["requests"]["answered"] == len(stopped.billed)

    assert bench.run("resume", "items").code == 4
    assert len(bench.ledger()) == sent

    disk.make_room()
    bench.scenario(latency=0.05)
    done = bench.run("resume", "items")
    finished = bench.audit()

    assert done.code == 0, done.output
    assert finished.paid_twice == set()
    assert bench.status()["requests"]["lost"] == 0
    assert len(bench.output()) == ITEMS
    assert list(bench.state.glob("**/rescue.bin")) == []
