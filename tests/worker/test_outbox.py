"""What a worker tells its supervisor of records that did not land."""

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from runner.errors import StoreClosed, StoreError
from runner.worker.meter import Meter
from runner.worker.outbox import Outbox
from runner.worker.walk import Ending


@pytest.mark.parametrize(
    ("error", "is_stopped"),
    [(StoreError("disk full"), True), (StoreClosed("closed"), False)],
)
def test_only_a_record_that_somebody_waited_for_stops_the_run(
    error: StoreError, is_stopped: bool
) -> None:
    def refuse(_outcome: Any, _result: Any, _replaced: Any, done: Any) -> None:
        done(error)

    stop, shard = threading.Event(), SimpleNamespace(record=refuse)
    outbox = Outbox(shard, stop, Meter())  # type: ignore[arg-type]  # a shard's part
    outbox.take(7, Ending(outcome=SimpleNamespace(state=None)))  # type: ignore[arg-type]  # nothing else is looked at

    assert stop.is_set() == is_stopped
