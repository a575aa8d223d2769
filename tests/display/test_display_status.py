"""What `runner status` and the lines in a log say of a run."""

import io
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from status_builders import STARTED_UNIX_S, TOTALS, a_dead_status, a_status

from runner.api_records import Finish
from runner.display.closing import closing_text
from runner.display.facts import facts_of
from runner.display.lines import status_line
from runner.display.live import live_view
from runner.display.painting import print_on, print_status
from runner.run_status import Pace, RunState, RunStatus


def _shown(status: RunStatus) -> str:
    stream = io.StringIO()
    print_status(status, stream)
    return stream.getvalue()


def _facts(status: RunStatus, after_s: float = 61.0) -> dict[str, str]:
    facts = facts_of(status, now_unix_s=STARTED_UNIX_S + after_s)
    return {fact.label: fact.text for fact in facts}


def _closing_of(status: RunStatus) -> str:
    finish = Finish(stop=None, status=status, summary=None)
    return closing_text(finish, resume_command="", export_command="", key_source="")


def test_a_running_run_says_how_far_how_fast_how_much_and_how_long() -> None:
    shown = _shown(a_status())
    for words in (
        "articles",
        "running",
        "4,812 of 10,000 (48 %): 4,790 valid, 14 invalid, 8 failed, 5,188 pending",
        "5,012 sent, 4,900 answered (20 invalid), 80 failures, 90 retried",
        "1,234,567 in (12,345 cached), 234,567 out (5,000 reasoning)",
        "$1.2346, at most $1.2546",
        "812 requests/min of 1,000, 120,400 tokens/min of 200,000",
        "32 requests",
        "line 4712 (attempt 2) 38 s",
        "1 h 5 min",
    ):
        assert words in shown


def test_a_pause_that_is_nearly_over_is_not_said_to_last_0_s() -> None:
    pace = Pace(waiting_for="the server asked for a pause (429)", next_try_s=0.2)
    facts = _facts(a_status(pace=pace))
    assert "the server asked for a pause (429), next try now" == facts["waiting"]


def test_a_line_of_a_log_says_what_is_unknown() -> None:
    totals = replace(TOTALS, answers_usd=Decimal(0), answered=3, unpriced=3)
    status = a_status(totals=totals)
    assert ", cost unknown; unpriced: 3 answers, " in status_line(status)


def test_what_is_to_be_asked_anew_is_not_done_yet() -> None:
    """Wherever a run is shown: table, line, bar."""
    totals = replace(TOTALS, valid=9_950, invalid=30, failed=20)
    status = a_status(totals=totals, anew=22)
    told = "9,978 of 10,000 (99 %): 9,950 valid, 30 invalid, 20 failed"
    items = f"{told}, 0 pending, 22 to be asked again"
    assert items == _facts(status)["items"]
    assert f"{told}, 22 to be asked again, " in status_line(status)
    stream = io.StringIO()
    print_on(stream, live_view(status))
    for words in ("99 %", "9,978 of 10,000", "22 to be asked again, 32 in flight"):
        assert words in stream.getvalue()


def test_a_dead_run_says_what_may_have_been_billed_and_that_the_rest_is_safe() -> None:
    facts = _facts(a_dead_status())
    assert (
        "dead: its process is gone; what was recorded is safe, a resume goes on"
    ) == facts["state"]
    assert (
        "32 requests may have been billed without an answer; a resume asks them again"
        " (at most $0.0201)"
    ) == facts["unresolved"]
    assert {"speed", "ETA", "in flight"}.isdisjoint(facts)


def test_what_nobody_asks_again_is_not_said_to_be() -> None:
    """A poison item's own, say, once all the others are done."""
    totals = replace(TOTALS, valid=9_978)
    told = _facts(a_dead_status(totals=totals))["unresolved"]
    assert told.startswith("32 requests may have been billed without an answer (")
    assert "resume" not in told


def test_an_unknown_price_is_unknown_and_never_nothing() -> None:
    totals = replace(TOTALS, unpriced=4_900, open_unpriced=32)
    assert "unknown; unpriced: 4,900 answers" == _facts(a_status(totals=totals))["cost"]


def test_a_run_says_what_it_will_have_cost_if_it_goes_on_like_that() -> None:
    """Whoever tried a few items wants to know before all the others are asked."""
    status = a_status()
    about = "about $2.57, if the items left are like those done"
    assert about == _facts(status)["in all"]
    assert about in _closing_of(status)
    assert "2.57" == status.to_json()["cost_estimate_usd"]
    stream = io.StringIO()
    print_on(stream, live_view(status))
    assert about in stream.getvalue()


@pytest.mark.parametrize(
    "changes",
    [
        {"items": 4_812},
        {"totals": replace(TOTALS, valid=9, invalid=0, failed=0)},
        {"totals": replace(TOTALS, unpriced=1)},
        {"totals": replace(TOTALS, unpriced=TOTALS.answered)},
    ],
    ids=["nothing left", "too few", "one has no price", "none has"],
)
def test_what_nobody_can_tell_is_not_guessed(changes: dict[str, Any]) -> None:
    status = a_status(**changes)
    assert "in all" not in _facts(status)
    assert "in all" not in _closing_of(status)
    assert status.to_json()["cost_estimate_usd"] is None


def test_items_asked_anew_are_still_to_be_paid_for() -> None:
    totals = replace(TOTALS, valid=9_950, invalid=30, failed=20)
    assert Decimal("1.24") == a_status(totals=totals, anew=22).cost_estimate_usd


def test_tokens_that_no_answer_told_are_unknown_and_never_nothing() -> None:
    """Some servers send no usage."""
    silent = replace(TOTALS, uncounted=TOTALS.answered)
    assert "unknown" == _facts(a_status(totals=silent))["tokens"]
    told = a_status(totals=silent).to_json()["tokens"]
    assert (told["input"], told["output"]) == (None, None)
    some = _facts(a_status(totals=replace(TOTALS, uncounted=7)))["tokens"]
    assert some.endswith("; unknown for 7 answers")
    assert a_status().to_json()["tokens"]["input"] == TOTALS.input_tokens


def test_half_a_rejudgement_is_said_with_what_finishes_it() -> None:
    assert (
        "some are still those of the rule before: `runner rejudge` finishes that, and"
        " sends nothing"
    ) == _facts(a_status(is_half_judged=True))["verdicts"]
    assert "verdicts" not in _facts(a_status())


def test_some_unknown_prices_leave_the_bound_unknown() -> None:
    totals = replace(TOTALS, unpriced=3)
    assert (
        "$1.2346, at most unknown; unpriced: 3 answers"
        == _facts(a_status(totals=totals))["cost"]
    )


def test_lost_requests_stay_visible() -> None:
    totals = replace(TOTALS, lost=2, lost_usd=Decimal("0.004"))
    assert (
        "2 unresolved requests asked again (at most $0.004"
        in _facts(a_status(totals=totals))["lost"]
    )


def test_a_waiting_run_says_for_what_and_until_when() -> None:
    pace = Pace(waiting_for="nothing answers: connection refused", next_try_s=41.2)
    expected = "nothing answers: connection refused, next try in 41 s"
    assert expected == _facts(a_status(pace=pace))["waiting"]
    assert f"waiting: {expected}" in status_line(a_status(pace=pace))


def test_an_unknown_eta_is_no_guess() -> None:
    assert "not known yet" == _facts(a_status(eta_s=None))["ETA"]


@pytest.mark.parametrize("left", [1, 20, 21])
def test_an_outage_says_when_few_items_are_left_that_could_tell(left: int) -> None:
    """It may be they that the server fails at, and the wait need not go on."""
    out = Pace(waiting_for="nothing answers: HTTP 500", is_out=True, next_try_s=42.0)
    done = a_status().totals.done
    waiting = _facts(a_status(items=done + left, pace=out))["waiting"]
    few = {1: " (only 1 item left to ask)", 20: " (only 20 items left to ask)"}
    assert f"nothing answers: HTTP 500{few.get(left, '')}, next try in 42 s" == waiting


def test_a_draining_run_says_what_it_waits_for() -> None:
    status = a_status(
        state=RunState.DRAINING, stopped_because="stopped by Ctrl-C", in_flight=1
    )
    gives_up = "(Ctrl-C again gives up what may be billed)"
    assert f"for 1 answer under way {gives_up}" == _facts(status)["waiting"]
    assert "ETA" not in _facts(status)
    assert "waiting for 1 answer under way" in status_line(status)


def test_a_draining_run_with_nothing_under_way_says_nothing_of_waiting() -> None:
    status = a_status(state=RunState.DRAINING, in_flight=0)
    assert "waiting" not in _facts(status)
    assert "draining: nothing new starts" == _facts(status)["state"]
    assert "under way" not in status_line(status)
    assert "waiting" not in status_line(status)


def test_why_a_run_drains_is_cut_between_words_and_its_brackets_are_closed() -> None:
    why = "there is no such model for this key (HTTP 404, NotFoundError): no model xy"
    status = a_status(state=RunState.DRAINING, stopped_because=why, in_flight=0)
    assert (
        "draining: nothing new starts"
        " (there is no such model for this key (HTTP 404...))"
        == _facts(status)["state"]
    )


def test_a_run_whose_process_lives_but_does_not_move_is_noticed() -> None:
    assert "1 min ago: it does not move" == _facts(a_status(), 120.0)["last sign"]
    assert "last sign" not in _facts(a_status(), 62.0)


def test_simulated_dollars_are_called_so() -> None:
    facts = _facts(a_status(simulated=True))
    assert "articles (simulated)" == facts["run"]
    assert facts["cost"].endswith("(simulated prices)")


def test_young_calls_are_not_called_slow() -> None:
    young = replace(a_status().slowest[0], age_s=2.0)
    assert "slowest" not in _facts(a_status(slowest=(young,)))


@pytest.mark.parametrize("state", list(RunState))
def test_no_foreign_text_reaches_the_terminal_raw(state: RunState) -> None:
    evil = "\x1b]52;c;ZXZpbA==\x07\x1b[2J[bold]x\u202e"
    status = a_status(
        run=evil, state=state, stopped_because=evil, pace=Pace(waiting_for=evil)
    )
    for shown in (_shown(status), status_line(status)):
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert "[bold]x" in shown


def test_a_pipe_gets_one_line_for_each_fact_without_colours_or_trailing_spaces() -> (
    None
):
    lines = _shown(a_status()).splitlines()
    assert [line.rstrip() for line in lines] == lines
    assert len(facts_of(a_status())) == len(lines)
