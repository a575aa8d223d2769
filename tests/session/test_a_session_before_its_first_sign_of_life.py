"""A session that only opens the run, or a rejudgement, has said nothing yet."""

from session_stage import Stage

from runner.api_records import Changes
from runner.run_status import RunState
from runner.supervisor.opened import holding


def test_what_an_earlier_session_said_is_not_taken_for_its_words(stage: Stage) -> None:
    """Its process number may even be the same, as in containers."""
    stage.start("a", "b", "c")
    stage.session(changes=Changes(limit=1))
    before = stage.run.status()
    assert (RunState.STOPPED, "--limit 1 reached") == (
        before.state,
        before.stopped_because,
    )
    stage.clock.now_s += 3_600
    with holding(stage.run.folder, stage.clock):
        now = stage.run.status()
    assert (RunState.RUNNING, None) == (now.state, now.stopped_because)
    assert (None, stage.clock.unix_s()) == (now.heartbeat_unix_s, now.started_unix_s)
    assert (now.pace.waiting_for, now.eta_s, now.slowest) == (None, None, ())
    assert before == stage.run.status()
