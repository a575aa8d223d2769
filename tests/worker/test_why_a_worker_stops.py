"""What a worker's stop is called decides the exit code, and what is said."""

import pytest

from runner.errors import (
    ItemFileError,
    RunChanged,
    RunnerError,
    StateDamaged,
    StoreError,
    TaskError,
)
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
