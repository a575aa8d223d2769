"""An answer that our own code stumbles over is on disk all the same."""

from collections import deque

import pytest
from fake_clock import FakeClock
from walk_fakes import World, reply

import runner.worker.walk


@pytest.fixture
def world(clock: FakeClock) -> World:
    """A task, a limiter, a store and a server that answers once."""
    return World(clock, deque([reply()]))


def test_an_answer_that_cannot_be_read_is_kept_before_the_error_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is paid for; a version without the bug judges it, free."""

    def stumble(*_: object) -> None:
        raise TypeError("unhashable type: 'list'")

    monkeypatch.setattr(runner.worker.walk, "read_answer", stumble)
    with pytest.raises(TypeError):
        world.walk()

    assert "settle" in world.log
