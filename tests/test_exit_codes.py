"""Exit codes by table."""

from dataclasses import replace

import pytest

from runner.api_records import Finish
from runner.exit_codes import exit_code
from runner.records import Totals
from runner.run_status import RunState, RunStatus, Stop, StopKind

_DONE = Totals(valid=10)


def _finish(
    kind: StopKind | None, state: RunState, totals: Totals, items: int = 10
) -> Finish:
    status = RunStatus(
        run="articles",
        state=state,
        stopped_because=None,
        items=items,
        totals=totals,
        unresolved=0,
        in_flight=0,
        requests_per_minute=None,
        tokens_per_minute=None,
    )
    stop = Stop(kind=kind, message="because") if kind else None
    return Finish(stop=stop, status=status, summary=None)


@pytest.mark.parametrize(
    ("totals", "expected"),
    [
        (_DONE, 0),
        (replace(_DONE, valid=9, invalid=1), 3),
        (replace(_DONE, valid=9, failed=1), 3),
    ],
)
@pytest.mark.parametrize("kind", [None, StopKind.INTERRUPTED, StopKind.TERMINATED])
def test_a_finished_run_is_0_or_3_also_when_a_signal_came_after_the_last_item(
    kind: StopKind | None, totals: Totals, expected: int
) -> None:
    assert expected == exit_code(_finish(kind, RunState.FINISHED, totals))


def test_nothing_left_to_do_is_0_unless_writing_its_files_was_broken_off() -> None:
    totals = replace(_DONE, valid=9, invalid=1)
    finish = replace(_finish(None, RunState.FINISHED, totals), nothing_left=True)
    assert exit_code(finish) == 0
    broken_off = _finish(StopKind.INTERRUPTED, RunState.STOPPED, totals)
    assert exit_code(replace(broken_off, nothing_left=True)) == 130


_STOPPED = {
    StopKind.LIMIT: 0,
    StopKind.INTERRUPTED: 130,
    StopKind.TERMINATED: 143,
    StopKind.DENIED: 4,
    StopKind.NOT_FOUND: 4,
    StopKind.BUDGET: 4,
    StopKind.OUTAGE: 4,
    StopKind.DISK: 4,
    StopKind.STORE: 4,
    StopKind.VALIDATOR: 4,
    StopKind.REJECTED: 4,
    StopKind.WORKERS: 4,
    StopKind.ITEMS: 5,
}


@pytest.mark.parametrize("kind", list(StopKind))
def test_a_stopped_run_says_by_its_code_what_kind_of_stop_it_was(
    kind: StopKind,
) -> None:
    finish = _finish(kind, RunState.STOPPED, replace(_DONE, valid=4, invalid=1))
    assert _STOPPED[kind] == exit_code(finish)


def test_a_run_that_stopped_without_a_reason_is_to_be_resumed() -> None:
    assert 4 == exit_code(_finish(None, RunState.STOPPED, Totals(valid=4)))
