"""What a resume, a rejudgement or a second `runner stop` is told, and what it keeps."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from session_stage import Stage

from runner.api_records import Changes
from runner.checkpoint.locks import RunLock
from runner.config import Service, TaskSpec
from runner.errors import RunChanged, UsageError
from runner.run_status import RunState
from runner.supervisor.heartbeat import write_heartbeat


def test_where_the_key_is_from_now_on_is_remembered(
    stage: Stage, tmp_path: Path
) -> None:
    stage.start("a", "b")
    place = tmp_path / "key"
    stage.session(changes=Changes(api_key_path=place, limit=1))
    assert stage.run.config.service.api_key_path == place

    stage.session(changes=Changes(api_key_env="OTHER"))
    service = stage.run.config.service
    assert (service.api_key_env, service.api_key_path) == ("OTHER", None)


def test_a_simulated_run_is_not_pointed_at_a_real_server(stage: Stage) -> None:
    """It would go on with its simulator, without a word."""
    stage.start("a", service=Service(scenario=""))
    with pytest.raises(UsageError, match="asks its own simulator"):
        stage.session(changes=Changes(base_url="http://127.0.0.1:9/v1"))


def test_a_rule_mended_in_a_neighbour_of_the_task_file_needs_no_further_consent(
    stage: Stage, tmp_path: Path
) -> None:
    """`rejudge` has taken it over; the same edit without it is a change."""
    task, neighbour = tmp_path / "mine.py", tmp_path / "my_rules.py"
    neighbour.write_text("def check(text): return False\n")
    task.write_text(
        "from my_rules import check as is_response_valid\n"
        "def get_prompt(item): return item['text']\n"
    )
    stage.start("a", task=TaskSpec(task_path=task, model="gpt-4o-mini"))
    stage.session()
    neighbour.write_text("def check(text): return True\n")
    with pytest.raises(RunChanged, match="task import my_rules"):
        stage.session()

    stage.run.rejudge()
    assert stage.session().nothing_left


@pytest.mark.parametrize(
    ("state", "signals"),
    [(RunState.RUNNING, [signal.SIGTERM]), (RunState.DRAINING, [])],
)
def test_stop_said_again_goes_on_waiting(
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
    state: RunState,
    signals: list[signal.Signals],
) -> None:
    """A second signal would give up what is in flight, which is paid for."""
    stage.start("a")
    folder = stage.run.folder
    sent: list[int] = []
    monkeypatch.setattr(os, "kill", lambda _pid, number: sent.append(number))
    lock = RunLock(folder, 1.0)
    write_heartbeat(folder, replace(stage.run.status(), state=state))
    assert stage.run.stop()
    lock.release()
    assert [number for number in sent if number] == signals
