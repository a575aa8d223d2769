"""What a worker's stop is called decides the exit code, and what is said."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

import runner.worker.main
from runner.errors import (
    ItemFileError,
    RunChanged,
    RunnerError,
    StateDamaged,
    StoreError,
    TaskError,
)
from runner.protocols import Channel, WorkerSettings
from runner.run_status import StopKind
from runner.worker.main import _stop_of


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RunChanged("items.jsonl:60: has changed"), StopKind.ITEMS),
        (ItemFileError("items.jsonl:60: cannot be read"), StopKind.ITEMS),
        (TaskError("the task changed"), StopKind.ITEMS),
        (StateDamaged("a record is altered"), StopKind.STORE),
        (StoreError("disk full"), StopKind.STORE),
        (RunnerError("no thread"), StopKind.WORKERS),
    ],
)
def test_items_edited_under_a_run_at_work_are_no_trouble_of_the_store(
    error: RunnerError, kind: StopKind
) -> None:
    assert kind == _stop_of(error).kind


def test_a_bug_in_a_worker_is_told_without_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, said = "sk-canary-0123456789", list[dict[str, Any]]()

    def broken(*_: object) -> None:
        raise ValueError(f"not {key}")

    monkeypatch.setattr(runner.worker.main, "Worker", broken)
    settings = cast("WorkerSettings", SimpleNamespace(run_folder=tmp_path))
    channel = SimpleNamespace(receive=lambda _timeout_s: [], send=said.append)

    with pytest.raises(ValueError, match="not"):
        runner.worker.main.work(settings, key, cast("Channel", channel))

    assert [message["is"] for message in said] == ["crash"]
    assert "ValueError: not [redacted]" in said[0]["traceback"]
    assert key not in said[0]["traceback"]
