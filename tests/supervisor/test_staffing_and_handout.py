"""Workers and callers as told or as needed; items where somebody waits for them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from runner.checkpoint.history import History
from runner.config import Pacing
from runner.protocols import Event, WorkerSettings
from runner.records import JsonObject, Totals
from runner.run_status import Pace
from runner.supervisor import concurrency
from runner.supervisor.backlog import Backlog
from runner.supervisor.concurrency import concurrency_for
from runner.supervisor.governor import MOST
from runner.supervisor.handout import Handout
from runner.supervisor.slot import Slot
from runner.supervisor.staffing import Staffing, allowed_per_s

GIB = 1 << 30
LOAD = {
    "under_way": 8,
    "waiting": 0,
    "finished": 8,
    "took_s": 8.0,
    "fastest_s": 1.0,
    "throttled": 0,
    "failed": 0,
}


@pytest.fixture
def _machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two cores, 16 GiB, and files enough."""
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(concurrency, "_memory_bytes", lambda: 16 * GIB)
    monkeypatch.setattr(concurrency, "_most_connections", lambda: 4_000)


@dataclass
class Orders:
    """An engine that notes what it is to send."""

    sent: list[tuple[int, JsonObject]] = field(default_factory=list)

    def send(self, slot: int, order: JsonObject) -> None:
        """Noted."""
        self.sent.append((slot, order))

    def start(self, settings: WorkerSettings, api_key: str) -> None:
        """Never."""

    def poll(self, _timeout_s: float) -> Sequence[Event]:
        """Nothing happens."""
        return []

    def kill(self, slot: int) -> None:
        """Never."""

    def wake(self, slot: int) -> None:
        """Never."""

    def close(self) -> None:
        """Never."""

    def returns(self) -> dict[int, int]:
        """Items wanted back, by slot."""
        return {n: order["most"] for n, order in self.sent if order["do"] == "return"}


def slots(*threads: int) -> list[Slot]:
    """Ready workers with so many callers each."""
    return [
        Slot(number=n, threads=most, totals=Totals(), is_ready=True)
        for n, most in enumerate(threads, 1)
    ]


@pytest.mark.usefixtures("_machine")
def test_what_is_told_is_so_from_the_beginning() -> None:
    """`--threads 16`: workers and threads as ever, and they stay."""
    told = Staffing(concurrency_for(Pacing(threads=16, workers=3), 1_000), 0.0)

    assert (told.workers(1_000), told.share(0, 3), told.target) == (3, 16, 48)
    assert not told.is_due(1e9)


@pytest.mark.usefixtures("_machine")
def test_ten_items_start_one_worker() -> None:
    """A process costs a second of the processor before it sends anything."""
    found = Staffing(concurrency_for(Pacing(), 10), 0.0)

    assert found.workers(10) == 1
    assert found.share(0, 1) == 8


@pytest.mark.usefixtures("_machine")
def test_a_thousand_calls_under_way_need_as_many_workers_as_have_room_for_them() -> (
    None
):
    """Two for the cores; more only for the room."""
    found = concurrency_for(Pacing(), 1_000_000)

    assert found.most == MOST
    assert [found.workers_for(calls, 999) for calls in (1, 32, 33, 760)] == [1, 1, 2, 2]
    assert [found.workers_for(calls, 10_000) for calls in (800, 1_280)] == [3, 3]


@pytest.mark.usefixtures("_machine")
def test_a_long_job_has_a_second_worker_from_the_beginning() -> None:
    """It starts while the first answer is waited for."""
    found = Staffing(concurrency_for(Pacing(), 3_000), 0.0)

    assert [found.workers(left) for left in (3_000, 999)] == [2, 1]


def test_open_files_and_memory_bound_what_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A container of half a gigabyte, eight cores seen, 128 files."""
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(concurrency, "_memory_bytes", lambda: GIB // 2)
    monkeypatch.setattr(concurrency, "_most_connections", lambda: 64)

    found = concurrency_for(Pacing(), 1_000_000)

    assert (found.workers, found.threads, found.most) == (2, 64, 128)


def test_the_memory_of_the_container_counts_not_that_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cgroup v2 says `max` where nothing is limited."""
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(concurrency, "_CGROUP_LIMITS", (tmp_path / "none", limit))
    limit.write_text("max\n")
    whole = concurrency._memory_bytes()
    limit.write_text("1048576\n")

    assert whole > 1 << 28
    assert concurrency._memory_bytes() == 1 << 20


@pytest.mark.usefixtures("_machine")
def test_the_target_is_shared_out_to_the_last_caller() -> None:
    """None too many, none too few."""
    found = Staffing(concurrency_for(Pacing(), 1_000), 0.0)

    assert [found.share(place, 3) for place in range(3)] == [3, 3, 2]


@pytest.mark.usefixtures("_machine")
def test_a_worker_that_holds_items_keeps_a_caller_however_few_are_wanted() -> None:
    """Without one they would never end, and neither would the run."""
    found = Staffing(concurrency_for(Pacing(), 1_000), 0.0)

    assert found.share(99, 100) == 0
    assert found.share(99, 100, holds_items=True) == 1


@pytest.mark.usefixtures("_machine")
def test_what_workers_tell_makes_it_more() -> None:
    """Eight under way, always answered in a second, no limit known."""
    found = Staffing(concurrency_for(Pacing(), 1_000), 0.0)
    worker = slots(8)
    for second in range(1, 10):
        found.heard(worker[0], LOAD, float(second))
        assert found.is_due(float(second))
        found.look(worker, None, float(second), left=500)

    assert found.target > 8


def test_a_limit_of_tokens_allows_as_many_requests_as_answers_cost() -> None:
    """6,000 tokens a minute at 100 tokens an answer: one a second."""
    totals = Totals(answered=10, input_tokens=400, output_tokens=600)

    assert allowed_per_s(Pace(tpm_limit=6_000), totals) == 1.0
    assert allowed_per_s(Pace(rpm_limit=30, tpm_limit=6_000), totals) == 0.5
    assert allowed_per_s(Pace(tpm_limit=6_000), Totals()) is None
    assert allowed_per_s(Pace(), totals) is None


def test_the_last_items_are_shared_out_evenly() -> None:
    """Each takes its part of what is left for those who are still to come."""
    slots = [
        Slot(number=n, threads=8, totals=Totals(), is_ready=True) for n in range(8)
    ]
    Handout(Backlog(64, lambda _row: History()), Orders()).hand_out(slots, 64)
    assert [8] * 8 == [len(slot.assigned) for slot in slots]


def test_the_last_items_come_back_from_a_queue_to_idle_callers() -> None:
    """One worker waits for slow answers and holds a queue, the other has nothing."""
    backlog = Backlog(20, lambda _: History())
    orders = Orders()
    busy, idle = slots(4, 4)
    handout = Handout(backlog, orders)
    handout.give(busy, backlog.take(20))

    handout.hand_out([busy, idle], 20)
    handout.hand_out([busy, idle], 20)

    assert orders.returns() == {1: 4}
    assert [slot for slot, order in orders.sent if order["do"] == "return"] == [1]

    for row in (16, 17, 18, 19):
        busy.assigned.discard(row)
        backlog.give_back(row)
    busy.is_asked_back = False
    handout.hand_out([busy, idle], 20)

    assert idle.assigned == {16, 17, 18, 19}


def test_nobody_gives_items_back_that_nobody_could_begin_sooner() -> None:
    """All callers are at work: what is queued waits where it is."""
    backlog = Backlog(12, lambda _: History())
    orders = Orders()
    one, two = slots(4, 4)
    handout = Handout(backlog, orders)
    handout.give(one, backlog.take(6))
    handout.give(two, backlog.take(6))

    handout.hand_out([one, two], 20)

    assert orders.returns() == {}


def test_a_worker_without_a_caller_gets_no_item() -> None:
    """One call under way is allowed, and two workers live."""
    backlog = Backlog(12, lambda _: History())
    one, none = slots(1, 0)
    Handout(backlog, Orders()).hand_out([one, none], 12)

    assert len(one.assigned) == 3
    assert not none.assigned


@pytest.mark.usefixtures("_machine")
def test_a_worker_that_finishes_hundreds_a_second_has_them_at_hand() -> None:
    """News and orders take a third of a second; its callers do not wait for them."""
    told = Staffing(concurrency_for(Pacing(threads=32, workers=1), 10_000), 0.0)
    [fast] = slots(32)
    [slow] = slots(32)
    for tick in range(100):
        told.heard(fast, {**LOAD, "finished": 20}, tick * 0.05)
        told.heard(slow, {**LOAD, "finished": 1}, tick * 0.05)

    assert slow.room == 40
    assert 140 <= fast.room <= 160


def test_items_in_their_backoff_keep_nobody_from_getting_others() -> None:
    """They occupy no caller; and nobody is asked to give them back."""
    [worker] = slots(4)
    handout = Handout(Backlog(20, lambda _: History()), Orders())
    handout.hand_out([worker], 6)
    assert (len(worker.assigned), worker.room) == (6, 0)

    worker.aside = {0, 1, 2, 3}
    assert (worker.idle, worker.queued) == (2, 0)
    handout.hand_out([worker], 12)
    assert len(worker.assigned) == 10
