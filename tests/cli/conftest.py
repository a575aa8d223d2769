"""Commands on a stage: the library is played."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cli_stage import KEY, PlayedRun, Stage

from runner.cli import main


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stage:
    """The library replaced, a key at hand, an empty folder to be in."""
    played = Stage()
    monkeypatch.setattr(PlayedRun, "stage", played, raising=False)
    monkeypatch.setattr("runner.api.Run", PlayedRun)
    monkeypatch.setattr(
        "runner.cli.looking.find_run",
        lambda state_dir, name: played.tell("find", name=name, state_dir=state_dir),
    )
    monkeypatch.setattr(
        "runner.cli.looking.read_status", lambda _: played.statuses.pop(0)
    )
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return played


@pytest.fixture
def refuse(
    stage: Stage, capfd: pytest.CaptureFixture[str]
) -> Callable[[list[str]], str]:
    """Run a command that must end with 2 and one line; that line."""

    def refused(arguments: list[str]) -> str:
        code = main(arguments)
        said = capfd.readouterr()
        assert 2 == code, said.err
        assert "" == said.out
        assert 1 == said.err.count("\n"), said.err
        assert said.err.startswith("runner: ")
        assert [] == [name for name, _ in stage.told if name in ("start", "work")]
        return said.err

    return refused
