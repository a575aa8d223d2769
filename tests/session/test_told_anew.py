"""What a resume, a rejudgement or a second `runner stop` is told, and what it keeps."""

import os
import signal
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from session_stage import Stage

from runner.api_records import Changes
from runner.checkpoint.locks import RunLock
from runner.config import RunConfig, Service, TaskSpec
from runner.errors import RunChanged, UsageError
from runner.run_status import RunState
from runner.session import working
from runner.session.survey import Survey
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


@pytest.mark.parametrize(
    "limit", [Changes(tpm=1), Changes(max_cost_usd=Decimal("0.00000001"))]
)
def test_a_limit_that_lets_no_request_through_is_refused_as_a_start_refuses_it(
    stage: Stage, limit: Changes
) -> None:
    """Otherwise every item would fail by it, on disk."""
    asking = TaskSpec(
        prompt="{{text}}", model="gpt-4o-mini", params={"max_completion_tokens": 9}
    )
    stage.start("a", "b", "c", task=asking)
    stage.session(changes=Changes(limit=1))

    with pytest.raises(UsageError, match=r"--tpm allows 1 a|--max-cost is"):
        stage.session(changes=limit)
    stage.write_items("a", "b", "c", "d")
    with pytest.raises(UsageError, match=r"--tpm allows 1 a|--max-cost is"):
        stage.session(changes=limit, accept_changes=True)
    assert stage.run.config.pacing.tpm is None
    assert stage.run.config.pacing.max_cost_usd is None


def test_a_limit_that_lets_more_through_costs_no_look_at_all_the_items(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a million, that is what a person would wait for."""
    stage.start("a", "b")
    stage.session(changes=Changes(tpm=50_000, limit=1))
    looks: list[RunConfig] = []

    def looked(config: RunConfig) -> Survey:
        looks.append(config)
        return Survey(config)

    monkeypatch.setattr(working, "Survey", looked)
    stage.session(changes=Changes(tpm=60_000, limit=1))
    assert looks == []
    stage.session(changes=Changes(tpm=40_000))
    assert len(looks) == 1


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
    with pytest.raises(RunChanged, match="task import my_rules") as changed:
        stage.session()
    assert "`runner rejudge` takes over what only changes the rule" in str(
        changed.value
    )
    with pytest.raises(RunChanged, match="model, task import my_rules") as changed:
        stage.session(changes=Changes(model="other"))
    assert "rejudge" not in str(changed.value)

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


def test_a_run_that_ended_just_before_it_was_stopped_is_no_error(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(_pid: int, number: int) -> None:
        if number == signal.SIGTERM:
            raise ProcessLookupError

    stage.start("a")
    lock = RunLock(stage.run.folder, 1.0)
    monkeypatch.setattr(os, "kill", ended)
    assert not stage.run.stop()
    lock.release()


def test_a_limit_that_is_reached_with_the_last_item_has_stopped_nothing(
    stage: Stage,
) -> None:
    stage.start("a", "b")
    finish = stage.session(changes=Changes(limit=2))
    assert (None, RunState.FINISHED) == (finish.stop, finish.status.state)
    assert [None] == [each["stopped_because"] for each in stage.sessions()]
