"""Of starts that cannot both be right only one makes a run; none harms another."""

import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from session_stage import Stage

from runner.api import Run
from runner.config import TaskSpec, default_output
from runner.errors import OutputError, RunExists, RunnerError, TaskError
from runner.session import building as building_room
from runner.session import starting
from runner.session.building import building

STARTS = 50


def at_once(calls: list[Callable[[], Run]]) -> list[Run | RunnerError]:
    """Call all at the same moment; what came of each."""
    ends: list[Run | RunnerError] = []
    gate = threading.Barrier(len(calls), timeout=20)

    def go(call: Callable[[], Run]) -> None:
        gate.wait()
        try:
            ends.append(call())
        except RunnerError as error:
            ends.append(error)

    threads = [threading.Thread(target=go, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ends) == len(calls)
    return ends


def names_in(stage: Stage) -> list[str]:
    """What is in the state folder, hidden things too."""
    return sorted(path.name for path in stage.state_dir.iterdir())


def errors_among(ends: list[Run | RunnerError]) -> list[RunnerError]:
    """Those that did not get it."""
    return [end for end in ends if isinstance(end, RunnerError)]


def all_checked_before_any_moves(monkeypatch: pytest.MonkeyPatch, starts: int) -> None:
    """The worst moment: every start finds nothing in its way, then goes on."""
    gate = threading.Barrier(starts, timeout=20)
    real = starting._with_server

    def waiting(config: Any) -> Any:
        gate.wait()
        return real(config)

    monkeypatch.setattr(starting, "_with_server", waiting)


def test_of_fifty_starts_of_one_run_one_gets_it_and_nothing_else_is_left(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.write_items("a", "b")
    all_checked_before_any_moves(monkeypatch, STARTS)
    config = stage.config()

    def start() -> Run:
        return Run.start(config, state_dir=stage.state_dir)

    errors = errors_among(at_once([start] * STARTS))

    assert len(errors) == STARTS - 1
    assert {(type(error), error.exit_code) for error in errors} == {(RunExists, 5)}, (
        errors
    )
    assert {error.hint for error in errors} == {
        "`runner resume items`; --new begins another"
    }
    assert ["items"] == names_in(stage)
    assert stage.session().status.totals.valid == 2


def test_starts_of_one_run_that_each_want_a_new_one_all_get_their_own(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.write_items("a", "b")
    all_checked_before_any_moves(monkeypatch, 5)

    def start(number: int) -> Callable[[], Run]:
        config = stage.config(output=default_output(stage.folder / f"{number}.jsonl"))
        return lambda: Run.start(config, state_dir=stage.state_dir, new=True)

    ends = at_once([start(number) for number in range(5)])

    assert errors_among(ends) == []
    names = ["items", *(f"items-{n}" for n in range(2, 6))]
    assert names == names_in(stage)
    assert names == sorted(end.name for end in ends if isinstance(end, Run))


def test_two_names_for_the_same_items_at_once_make_one_run(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.write_items("a", "b")
    all_checked_before_any_moves(monkeypatch, 2)

    def start(name: str) -> Callable[[], Run]:
        return lambda: Run.start(stage.config(), name=name, state_dir=stage.state_dir)

    errors = errors_among(at_once([start("one"), start("two")]))
    assert [type(error) for error in errors] == [RunExists]


def test_two_runs_that_would_write_the_same_file_make_one(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.write_items("a", "b")
    all_checked_before_any_moves(monkeypatch, 2)

    def start(name: str) -> Callable[[], Run]:
        items = stage.folder / f"{name}.jsonl"
        items.write_bytes(stage.items_path.read_bytes())
        config = stage.config(items_path=items)
        return lambda: Run.start(config, state_dir=stage.state_dir)

    errors = errors_among(at_once([start("one"), start("two")]))
    assert [type(error) for error in errors] == [OutputError]
    assert "belongs to run" in errors[0].message


def test_what_a_killed_start_left_is_cleared_and_what_is_worked_in_is_not(
    stage: Stage,
) -> None:
    stage.state_dir.mkdir()
    dead, live = (stage.state_dir / f".runner-start-{w}" for w in ("dead", "live"))
    for folder in (dead, live):
        folder.mkdir()
        (folder / "items.index").write_bytes(b"half")
    descriptor = os.open(live, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)

    stage.start("a")

    assert {live.name, "items"} == set(names_in(stage))
    os.close(descriptor)


def test_a_start_that_fails_leaves_nothing(stage: Stage) -> None:
    stage.write_items("a")
    with pytest.raises(TaskError):
        Run.start(
            stage.config(task=TaskSpec(prompt="{{gone}}", model="m")),
            state_dir=stage.state_dir,
        )
    assert names_in(stage) == []


def test_a_folder_in_the_making_is_for_its_user_only(stage: Stage) -> None:
    with building(stage.state_dir) as folder:
        assert folder.stat().st_mode & 0o777 == 0o700


def test_a_run_that_appears_at_the_last_moment_is_not_overwritten(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Put there by something that takes no lock, such as a restored backup."""
    stage.write_items("a")
    other = Stage(tmp_path / "other", stage.clock)
    other.folder.mkdir()
    other.start("b", "c")
    real = building_room.moved

    def restored_first(folder: Path, target: Path) -> None:
        other.run.folder.rename(target)
        real(folder, target)

    monkeypatch.setattr(starting, "moved", restored_first)
    config = stage.config()
    with pytest.raises(RunExists, match="there is a run items already, on"):
        Run.start(config, state_dir=stage.state_dir)
    assert ["items"] == names_in(stage)
