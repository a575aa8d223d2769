"""`make.py demo` pressed again goes on, or says what there is."""

import importlib.util
from typing import Any

import pytest
from docs_pages import ROOT

STATUS = {"run": "stdlib", "items": {"total": 7_000, "pending": 0}}


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The chores, with nothing to prepare."""
    spec = importlib.util.spec_from_file_location("make", ROOT / "make.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    monkeypatch.setattr(made, "prepare", lambda _extra: None)
    monkeypatch.setattr(made, "call", lambda *_: None)
    return made


def pressed(
    make: Any, monkeypatch: pytest.MonkeyPatch, state: str | None, *words: str
) -> list[str]:
    """What is run when a run in that state is there; empty: nothing is."""
    ran: list[str] = []
    status = state and {**STATUS, "state": state}

    def run_in_front(*words: str) -> int:
        ran.extend(words)
        return 0

    monkeypatch.setattr(make, "demo_status", lambda: status)
    monkeypatch.setattr(make, "run_in_front", run_in_front)
    if state in ("finished", "running", "draining") and not words:
        make.demo(list(words))
    else:
        with pytest.raises(SystemExit):
            make.demo(list(words))
    return ran


def test_the_first_time_it_starts(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = pressed(make, monkeypatch, None)
    assert ran[:2] == ["runner", "start"]
    assert "--new" not in ran


@pytest.mark.parametrize("state", ["stopped", "dead"])
def test_an_unfinished_run_goes_on(
    make: Any, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    ran = pressed(make, monkeypatch, state)
    assert ran == ["runner", "resume", "stdlib", "--state-dir", "demo/state"]


@pytest.mark.parametrize("state", ["finished", "running", "draining"])
def test_otherwise_it_asks_nothing_and_says_how_to_look(
    make: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    state: str,
) -> None:
    assert pressed(make, monkeypatch, state) == []
    said = capsys.readouterr().out
    assert f"the demo is {state}: 7,000 of 7,000 items" in said
    assert ".venv/bin/runner status stdlib --state-dir demo/state" in said
    assert ".venv/bin/runner show stdlib line:1 --state-dir demo/state" in said
    assert "python3 make.py demo --again" in said


def test_again_is_another_run(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = pressed(make, monkeypatch, "finished", "--again")
    assert ran[:2] == ["runner", "start"]
    assert "--new" in ran
    assert "--again" not in ran
