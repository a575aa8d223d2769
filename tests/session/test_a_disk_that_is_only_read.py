"""A state folder on a disk that takes nothing: one exit code and one advice."""

import errno
import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from session_stage import Stage

from runner.api import Run
from runner.errors import StateError

ADVICE = "mount its disk for writing, or use another --state-dir"


@pytest.fixture
def only_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk, as the calls of the system that look at it or open for writing."""

    def refuse(*_: object) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), "run.lock")

    flags = SimpleNamespace(f_flag=os.ST_RDONLY)
    monkeypatch.setattr("os.access", lambda *_: False)
    monkeypatch.setattr("os.statvfs", lambda _: flags)
    monkeypatch.setattr("runner.checkpoint.locks._open", refuse)


@pytest.mark.parametrize("do", ["plan", "start", "resume", "salvage"])
def test_every_way_to_begin_says_the_same(
    stage: Stage, request: pytest.FixtureRequest, do: str
) -> None:
    stage.start("a", "b")
    request.getfixturevalue("only_read")
    ways: dict[str, Callable[[], Any]] = {
        "plan": lambda: Run.plan(stage.config(), name="b", state_dir=stage.state_dir),
        "start": lambda: Run.start(stage.config(), name="b", state_dir=stage.state_dir),
        "resume": stage.session,
        "salvage": stage.run.salvage,
    }

    with pytest.raises(StateError) as told:
        ways[do]()

    assert told.value.message.endswith("cannot be written: Read-only file system")
    assert ADVICE == told.value.hint
    assert 5 == told.value.exit_code
