"""An invalid answer is in the totals of the session that paid for it."""

import json
import os
import signal
from collections.abc import Callable

import pytest
from bench import Audit, Bench

from runner.records import AttemptState, OutcomeState

MakeBench = Callable[[str], Bench]
ITEMS = 90


def judged_invalid(audit: Audit) -> int:
    """Answers that were asked again, or that an item was left with."""
    last_sent: dict[int, int] = {}
    for (number, attempt), record in audit.attempts.items():
        if record.state is not AttemptState.NOT_SENT:
            last_sent[number] = max(last_sent.get(number, 0), attempt)
    left_with = {
        (o.number, o.last_attempt)
        for o in audit.outcomes.values()
        if o.state is OutcomeState.INVALID
    }
    return sum(key[1] < last_sent[key[0]] or key in left_with for key in audit.recorded)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_unfinished_run_tells_of_every_answer_it_asked_again(
    make_bench: MakeBench, number: signal.Signals
) -> None:
    """Its items have no outcome yet; the sessions share them out as it happened."""
    bench = make_bench("latency=0.3,latency_spread=0,invalid=0.6,choices=yes|no")
    process = bench.start(bench.items(ITEMS), "--choices", "yes,no")
    bench.wait_for_answers(60)
    os.killpg(process.pid, number)
    process.communicate(timeout=30)
    stopped = judged_invalid(bench.audit())

    assert bench.status()["requests"]["invalid"] == stopped > 0

    bench.scenario(latency=0.02)
    assert bench.run("resume", "items").code in (0, 3)
    finished = judged_invalid(bench.audit())
    summary = json.loads((bench.folder / "items_summary.json").read_text())
    by_session = [s["requests"]["invalid"] for s in summary["sessions"]]

    assert by_session == [stopped, finished - stopped]
    assert summary["requests"]["invalid"] == finished

    bench.scenario(invalid=0.5)
    assert bench.run("resume", "items", "--retry-invalid").code in (0, 3)
    assert bench.status()["requests"]["invalid"] == judged_invalid(bench.audit())

    # By a rule that no answer meets.
    assert bench.run("rejudge", "--choices", "perhaps,never").code == 0
    assert bench.status()["requests"]["invalid"] == len(bench.audit().recorded)
