"""The user's function hangs: neither the run nor its end waits for it for ever."""

import dataclasses
import functools
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from listening import Listener, begun, recorded, work

from runner.checkpoint.reading import RunReader
from runner.engines import load
from runner.protocols import Engine, WorkerSettings
from runner.task import Patience, identity_digest
from runner.worker import main, opening

RELEASED = threading.Event()
HANGING = """
from test_a_rule_that_never_returns import RELEASED
def get_prompt(item): return str(item["id"])
def is_response_valid(response):
    if int(response) in {hang}:
        RELEASED.wait(30)
    return True
"""


@pytest.fixture
def inline() -> Iterator[Engine]:
    """Workers in this process, whose rules can be let go in the end."""
    RELEASED.clear()
    engine = load("inline")
    yield engine
    RELEASED.set()
    engine.close()


def hanging(settings: WorkerSettings, folder: Path, hang: set[int]) -> WorkerSettings:
    """The same worker, with a rule that hangs over those answers."""
    path = folder / "mine.py"
    path.write_text(HANGING.format(hang=hang))
    task = dataclasses.replace(settings.config.task, prompt=None, task_path=path)
    config = dataclasses.replace(settings.config, task=task)
    digest = identity_digest(task)
    return dataclasses.replace(settings, config=config, task_digest=digest)


def reasons(settings: WorkerSettings) -> dict[int, str]:
    """Item number → why it is not valid."""
    reader = RunReader(settings.run_folder, settings.run_id, [1], live=False)
    found = {o.number: o.reason for o, _ in reader.outcomes() if o.reason}
    reader.close()
    return found


def test_answers_it_hangs_over_are_unjudged_and_the_worker_is_replaced(
    inline: Engine,
    settings: WorkerSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What computes for ever slows down all the others; a new process is rid of it."""
    impatient = functools.partial(Patience, limit_s=0.3)
    monkeypatch.setattr(opening, "Patience", impatient)
    listener = begun(inline, hanging(settings, tmp_path, {0, 3, 5, 6}))
    inline.send(1, work(range(20)))
    listener.until(lambda: bool(listener.deaths))

    assert listener.deaths[0].is_clean
    notes = [note for m in listener.said("progress") for note in m["notes"]]  # type: ignore[attr-defined]  # JSON
    assert notes == ["is replaced: 4 calls of the task file have not returned"]
    assert len(listener.said("leaving")) == 1
    unjudged = reasons(settings)
    assert set(unjudged) == {0, 3, 5, 6}
    assert "has not returned" in unjudged[0]


def test_what_hangs_is_told_where_nothing_else_is_under_way(
    inline: Engine,
    settings: WorkerSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`status` says it; otherwise it would show a run that does nothing."""
    monkeypatch.setattr(main, "_LONG_S", 0.1)
    listener = begun(inline, hanging(settings, tmp_path, {2}))
    inline.send(1, work(range(20)))
    listener.until(lambda: told(listener) is not None)
    assert told(listener) == (
        "the task file: is_response_valid has not returned for 0.1 s, and is given up"
        " after 300 s"
    )
    RELEASED.set()
    listener.until(lambda: len(listener.done) == 20 and not told(listener))


def told(listener: Listener) -> object:
    """What that worker was last blocked by."""
    progress = listener.said("progress")
    return progress[-1]["blocked_by"] if progress else None


def test_a_drain_does_not_wait_for_it_and_loses_nothing(
    inline: Engine,
    settings: WorkerSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The answer is on disk; it is judged when the run goes on."""
    monkeypatch.setattr(main, "_DRAIN_PATIENCE_S", 0.1)
    listener = begun(inline, hanging(settings, tmp_path, {2}))
    inline.send(1, work(range(20)))
    listener.until(lambda: len(listener.done) == 19)
    inline.send(1, {"do": "drain"})
    listener.until(lambda: bool(listener.deaths))

    assert listener.deaths[0].is_clean
    assert 2 not in recorded(settings)
    reader = RunReader(settings.run_folder, settings.run_id, [1], live=False)
    totals = reader.totals()
    reader.close()
    assert (totals.answered, totals.open) == (20, 0)
