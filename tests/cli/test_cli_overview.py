"""`runner status --all`: every run of a state folder, a line each."""

import io
import json
from pathlib import Path

import pytest

from runner.api import Run
from runner.cli import main
from runner.config import RunConfig, TaskSpec, default_output


class Terminal(io.StringIO):
    """Somebody looks."""

    def isatty(self) -> bool:
        """It is one."""
        return True


@pytest.fixture
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two runs: of two items, and of one."""
    monkeypatch.setattr("runner.session.starting.probe", lambda _url: {})
    for name, lines in (("reviews", 2), ("letters", 1)):
        items = tmp_path / f"{name}.jsonl"
        items.write_text("".join(f'{{"id": {n}}}\n' for n in range(lines)))
        config = RunConfig(
            items_path=items,
            task=TaskSpec(prompt="Say {{id}}", model="gpt-4o-mini"),
            output=default_output(items),
        )
        Run.start(config, state_dir=tmp_path / "state")
    return tmp_path / "state"


def all_of(state_dir: Path, *more: str) -> int:
    """The exit code."""
    return main(["status", "--all", "--state-dir", str(state_dir), *more])


def test_every_run_has_a_line(
    state_dir: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert all_of(state_dir) == 0
    heading, letters, reviews = capfd.readouterr().out.splitlines()
    assert heading.split()[:4] == ["run", "state", "done", "cost"]
    assert letters.split()[:5] == ["letters", "new", "0", "of", "1"]
    assert reviews.split()[:5] == ["reviews", "new", "0", "of", "2"]


def test_a_program_gets_what_it_gets_of_one_run(
    state_dir: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert all_of(state_dir, "--json") == 0
    lines = capfd.readouterr().out.splitlines()
    for line, name in zip(lines, ("letters", "reviews"), strict=True):
        main(["status", name, "--json", "--state-dir", str(state_dir)])
        assert json.loads(line) == json.loads(capfd.readouterr().out)


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_damaged_run_is_named_among_the_others(
    state_dir: Path, capfd: pytest.CaptureFixture[str], form: list[str]
) -> None:
    (state_dir / "letters" / "manifest.json").write_text("{}")
    assert all_of(state_dir, *form) == 5
    lines = capfd.readouterr().out.splitlines()
    [damaged] = [line for line in lines if "letters" in line]
    [sound] = [line for line in lines if "reviews" in line]
    assert "manifest.json has no version" in damaged
    assert "new" in sound


def test_why_a_run_cannot_be_read_is_said_in_full_on_a_narrow_terminal(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (state_dir / "letters" / "manifest.json").write_text("{}")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    assert all_of(state_dir) == 5
    said = terminal.getvalue().replace("\n", "")
    assert f"{state_dir}/letters/manifest.json" in said


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_run_with_a_file_that_cannot_be_read_is_named_among_the_others(
    state_dir: Path, capfd: pytest.CaptureFixture[str], form: list[str]
) -> None:
    """One that root has gone on with, above all."""
    (state_dir / "letters" / "heartbeat.json").mkdir()
    assert all_of(state_dir, *form) == 5
    lines = capfd.readouterr().out.splitlines()
    [closed] = [line for line in lines if "letters" in line]
    [sound] = [line for line in lines if "reviews" in line]
    assert "heartbeat.json: Is a directory" in closed
    assert "new" in sound


@pytest.mark.parametrize("stored", ["[1]", "[]", "7", "[" * 100_000])
@pytest.mark.parametrize("name", ["heartbeat.json", "manifest.json"])
def test_json_that_is_no_object_is_damage(
    state_dir: Path, capfd: pytest.CaptureFixture[str], name: str, stored: str
) -> None:
    (state_dir / "letters" / name).write_text(stored)
    assert all_of(state_dir) == 5
    assert name in capfd.readouterr().out


@pytest.mark.parametrize("more", [["reviews"], ["--watch"]])
def test_all_runs_are_looked_at_once(
    state_dir: Path, capfd: pytest.CaptureFixture[str], more: list[str]
) -> None:
    assert all_of(state_dir, *more) == 2
    assert "leave RUN and --watch out" in capfd.readouterr().err


def test_a_folder_without_runs_is_said_to_have_none(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert all_of(tmp_path) == 0
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err == f"there are no runs in {tmp_path}\n"
