"""A plan refuses what a start would refuse, in the same words, and creates nothing."""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from session_stage import Stage

from runner.api import Run
from runner.api_records import Changes, Plan
from runner.checkpoint.locks import RunLock
from runner.config import Pacing, Price, Service, TaskSpec, default_output
from runner.errors import (
    ItemFileError,
    RunExists,
    RunnerError,
    StateTooNew,
    StoreError,
    UsageError,
)
from runner.exit_codes import exit_code
from runner.run_folder import MANIFEST
from runner.run_status import StopKind


def target_exists(stage: Stage) -> dict[str, Any]:
    """Somebody's file is where the answers would go."""
    (stage.folder / "items_processed.jsonl").write_text("precious")
    return {}


def target_is_the_items(stage: Stage) -> dict[str, Any]:
    """The answers would replace the items."""
    output = default_output(stage.items_path, stage.items_path)
    return {"config": stage.config(output=output)}


def no_such_folder(stage: Stage) -> dict[str, Any]:
    """The answers would go nowhere."""
    output = default_output(stage.items_path, stage.folder / "gone" / "x.jsonl")
    return {"config": stage.config(output=output)}


def run_is_there(stage: Stage) -> dict[str, Any]:
    """The same run was started before."""
    Run.start(stage.config(), state_dir=stage.state_dir)
    return {}


def run_on_these_items(stage: Stage) -> dict[str, Any]:
    """By another name."""
    Run.start(stage.config(), state_dir=stage.state_dir)
    return {"name": "other"}


def output_of_another_run(stage: Stage) -> dict[str, Any]:
    """A new run that would write what the first one writes."""
    Run.start(stage.config(), state_dir=stage.state_dir)
    return {"new": True}


def other_names_of_the_same_files(stage: Stage) -> dict[str, Any]:
    """The answers go elsewhere than another run's; failed items and summary do not."""
    theirs = default_output(stage.items_path, stage.folder / "r_processed.jsonl")
    Run.start(stage.config(output=theirs), state_dir=stage.state_dir)
    output = default_output(stage.items_path, stage.folder / "r.jsonl")
    return {"config": stage.config(output=output), "new": True}


def another_way_to_the_same_folder(stage: Stage) -> dict[str, Any]:
    """Through a link the files have other names, and are the same."""
    Run.start(stage.config(), state_dir=stage.state_dir)
    (stage.folder / "link").symlink_to(stage.folder, target_is_directory=True)
    output = default_output(stage.folder / "link" / stage.items_path.name)
    return {"config": stage.config(output=output), "new": True}


def impossible_name(stage: Stage) -> dict[str, Any]:
    """A path, not a name."""
    return {"name": "../up"}


def no_url(stage: Stage) -> dict[str, Any]:
    """What is to be asked has no address."""
    return {"config": stage.config(service=Service(base_url="localhost:8000"))}


def url_of_an_endpoint(stage: Stage) -> dict[str, Any]:
    """The path of its endpoint would be put behind that once more."""
    url = "https://api.openai.com/v1/chat/completions"
    return {"config": stage.config(service=Service(base_url=url))}


def state_is_a_file(stage: Stage) -> dict[str, Any]:
    """Runs cannot live in a file."""
    stage.state_dir.write_text("")
    return {}


def state_below_a_file(stage: Stage) -> dict[str, Any]:
    """Nor below one."""
    (stage.folder / "file").write_text("")
    return {"state_dir": stage.folder / "file" / "state"}


def a_cap_below_every_request(stage: Stage) -> dict[str, Any]:
    """Not one could be sent."""
    task = TaskSpec(prompt="{{text}}", model="gpt-4o-mini", params={"max_tokens": 99})
    pacing = Pacing(max_cost_usd=Decimal("0.00000001"))
    return {"config": stage.config(task=task, pacing=pacing)}


def a_tpm_below_every_request(stage: Stage) -> dict[str, Any]:
    """Not one could be sent."""
    return {"config": stage.config(pacing=Pacing(tpm=1))}


def a_state_folder_that_cannot_be_made(stage: Stage) -> dict[str, Any]:
    """Its name is too long for any disk; its parent may be written to."""
    return {"state_dir": stage.folder / ("x" * 300)}


def everything(folder: Path) -> list[Path]:
    """All paths below a folder."""
    return sorted(folder.rglob("*"))


@pytest.mark.parametrize(
    "trouble",
    [
        target_exists,
        target_is_the_items,
        no_such_folder,
        run_is_there,
        run_on_these_items,
        output_of_another_run,
        other_names_of_the_same_files,
        another_way_to_the_same_folder,
        impossible_name,
        no_url,
        url_of_an_endpoint,
        state_is_a_file,
        state_below_a_file,
        a_cap_below_every_request,
        a_tpm_below_every_request,
        a_state_folder_that_cannot_be_made,
    ],
)
def test_a_plan_refuses_what_a_start_refuses(
    stage: Stage, trouble: Callable[[Stage], dict[str, Any]]
) -> None:
    stage.write_items("a", "b")
    words: dict[str, Any] = {"state_dir": stage.state_dir, "config": stage.config()}
    words |= trouble(stage)
    before = everything(stage.folder)

    with pytest.raises(RunnerError) as planned:
        Run.plan(**words)
    assert everything(stage.folder) == before

    with pytest.raises(RunnerError) as started:
        Run.start(**words)
    assert planned.value.exit_code == started.value.exit_code
    assert type(planned.value) is type(started.value)


def test_a_disk_that_would_stop_the_session_at_once_is_refused_by_both(
    stage: Stage,
) -> None:
    """Nothing is created; a resume says so in its closing lines."""
    stage.write_items("a")
    config = stage.config(pacing=Pacing(min_free_bytes=10**18))
    with pytest.raises(StoreError, match="less than the 953674316406 MiB") as planned:
        Run.plan(config, state_dir=stage.state_dir)
    with pytest.raises(StoreError) as started:
        Run.start(config, state_dir=stage.state_dir)
    assert str(planned.value) == str(started.value)
    assert not stage.state_dir.exists()

    stage.start("a")
    finish = stage.session(changes=Changes(min_free_bytes=10**18))
    assert finish.stop is not None
    assert finish.stop.kind is StopKind.DISK
    assert exit_code(finish) == planned.value.exit_code


@pytest.mark.parametrize("wish", [{}, {"name": "mine"}])
def test_a_plan_that_passes_creates_nothing_and_the_start_passes_too(
    stage: Stage, wish: dict[str, Any]
) -> None:
    stage.write_items("a", "b")
    before = everything(stage.folder)
    plan = Run.plan(stage.config(), state_dir=stage.state_dir, **wish)
    assert plan.items == 2
    assert everything(stage.folder) == before
    assert Run.start(stage.config(), state_dir=stage.state_dir, **wish).name


def test_a_second_run_with_files_of_its_own_passes_both(stage: Stage) -> None:
    stage.write_items("a")
    Run.start(stage.config(), state_dir=stage.state_dir)
    output = default_output(stage.items_path, stage.folder / "again.jsonl")
    config = stage.config(output=output)
    assert Run.plan(config, state_dir=stage.state_dir, new=True).items == 1
    assert Run.start(config, state_dir=stage.state_dir, new=True).name == "items-2"


def test_a_run_of_a_newer_version_is_in_nobodys_way(stage: Stage) -> None:
    stage.write_items("a")
    other = stage.state_dir / "other"
    Run.start(stage.config(), name="other", state_dir=stage.state_dir)
    (other / MANIFEST).write_text(json.dumps({"version": 99}))

    with pytest.raises(StateTooNew):
        Run.start(stage.config(), name="other", state_dir=stage.state_dir)
    assert Run.start(stage.config(), state_dir=stage.state_dir).name == "items"
    with pytest.raises(StateTooNew):
        Run.open("other", stage.state_dir)


def test_a_run_at_work_is_to_be_looked_at_not_resumed(stage: Stage) -> None:
    stage.start("a")
    lock = RunLock(stage.run.folder, 1.0)
    with pytest.raises(RunExists, match="runner status items"):
        Run.start(stage.config(), state_dir=stage.state_dir)
    lock.release()
    with pytest.raises(RunExists, match="runner resume items"):
        Run.start(stage.config(), state_dir=stage.state_dir)


def test_a_plan_counts_what_the_limit_lets_the_session_ask(stage: Stage) -> None:
    """Not the whole file, where only its first items are tried."""
    stage.write_items("a", "bb", "ccc", "dddd")
    one = Decimal(1)
    price = {"gpt-4o-mini": Price(input_usd=one, cached_input_usd=one, output_usd=one)}
    service = Service(base_url="http://127.0.0.1:1/v1", prices=price)
    task = TaskSpec(prompt="{{text}}", model="gpt-4o-mini", params={"max_tokens": 5})

    def planned(limit: int | None) -> Plan:
        pacing = Pacing(limit=limit)
        config = stage.config(task=task, service=service, pacing=pacing)
        return Run.plan(config, state_dir=stage.state_dir)

    two, all_four = planned(2), planned(None)

    assert two.items == all_four.items == all_four.counted == 4
    assert two.counted == 2
    assert two.worst_usd is not None
    assert all_four.worst_usd is not None
    assert 0 < two.worst_usd < all_four.worst_usd
    assert 0 < two.input_tokens_estimate < all_four.input_tokens_estimate
    assert planned(9) == all_four


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("my items (1).jsonl", "my items-1"),
        ("it's.jsonl", "it-s"),
        ("_night.jsonl", "night"),
        (f"{'x' * 120}.jsonl", "x" * 100),
    ],
)
def test_a_file_whose_name_no_run_can_have_still_gives_its_run_a_name(
    stage: Stage, file: str, name: str
) -> None:
    path = stage.folder / file
    path.write_text('{"text": "a"}\n')
    config = stage.config(items_path=path)
    assert name == Run.start(config, state_dir=stage.state_dir).name
    with pytest.raises(UsageError, match="cannot be the name of a run"):
        Run.start(config, name="it's", state_dir=stage.state_dir, new=True)


def test_a_start_on_items_that_have_grown_names_the_way_to_ask_the_new_ones(
    stage: Stage,
) -> None:
    stage.start("a", "b")
    stage.session()
    with pytest.raises(RunExists, match=r"runner export items.*--new pays again"):
        Run.start(stage.config(), state_dir=stage.state_dir)
    stage.write_items("a", "b", "c")
    with pytest.raises(RunExists, match="runner resume items --accept-changes"):
        Run.start(stage.config(), state_dir=stage.state_dir)


def test_where_nothing_was_answered_nothing_is_paid_again(stage: Stage) -> None:
    stage.start("a", "b")
    with pytest.raises(RunExists, match="holds 0 of 2 answers") as refused:
        Run.start(stage.config(), state_dir=stage.state_dir)
    assert "runner resume items" in str(refused.value)
    assert "pays again" not in str(refused.value)


def test_items_that_are_nearly_batch_lines_are_refused_unless_there_is_a_prompt(
    stage: Stage,
) -> None:
    """`nothing says what to ask` would send somebody to write a prompt."""
    line = {"method": "POST", "url": "/v1/responses", "body": {"model": "gpt-4o-mini"}}
    stage.items_path.write_text(json.dumps(line))
    untold = stage.config(task=TaskSpec())
    for do in (Run.plan, Run.start):
        with pytest.raises(ItemFileError, match=r'jsonl:1 .*"custom_id" is missing'):
            do(untold, state_dir=stage.state_dir)
    task = TaskSpec(prompt="{{body}}", model="gpt-4o-mini")
    assert Run.plan(stage.config(task=task), state_dir=stage.state_dir).items == 1
