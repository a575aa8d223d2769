"""A failed item lets others go first: they tell whether it is the server."""

import dataclasses
from collections import deque
from typing import Any

import pytest
from fake_clock import FakeClock
from walk_fakes import World, done, reply

from runner.records import FailureKind, OutcomeState
from runner.retrying import alone_s
from runner.worker.tools import Tools
from runner.worker.walk import Walk


def test_a_failed_item_goes_on_after_the_others_where_it_stood(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its question is made once; its failures and its backoff are kept."""
    world = World(clock)
    kept: list[Walk] = []
    plain = Walk.__init__

    def keep(walk: Walk, item: Any, history: Any, tools: Tools) -> None:
        plain(walk, item, history, dataclasses.replace(tools, others_wait=lambda: True))
        kept.append(walk)

    monkeypatch.setattr(Walk, "__init__", keep)
    world.replies = deque([reply(kind=FailureKind.SERVER)] * 9)
    ending = world.walk()
    asides = 0
    while ending.again_s is not None:
        assert ending.outcome is None
        asides += 1
        assert world.log.count("call") == asides
        ending = kept[0].to_end()

    assert (done(ending).state, done(ending).requests) == (OutcomeState.FAILED, 6)
    assert asides == 5
    assert [attempt.failures_before for attempt in world.begun] == list(range(6))


def test_six_failures_of_the_only_item_left_take_half_a_minute() -> None:
    """So that a short outage at the very end fails nothing."""
    waits = [sum(alone_s(failures) for failures in range(1, 6)) for _ in range(200)]
    assert 31 <= min(waits) <= max(waits) <= 39
