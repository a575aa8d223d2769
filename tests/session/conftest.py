"""A run without a server."""

from pathlib import Path

import pytest
from fake_clock import FakeClock
from session_stage import Stage


@pytest.fixture
def stage(tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Sessions whose only worker is scripted; nobody is asked whether he answers."""
    made = Stage(tmp_path, clock)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr("runner.session.starting.probe", lambda _url: {})
    monkeypatch.setattr("runner.engines.load", made.next_engine)
    return made
