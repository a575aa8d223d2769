"""What is said before anything is sent, and when it is over."""

import io
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from status_builders import (
    STARTED_UNIX_S,
    TOTALS,
    a_dead_status,
    a_session,
    a_status,
    a_summary,
)

from runner.api_records import Finish, ItemStory, Plan, Unresolved
from runner.checkpoint.entries import Attempt
from runner.config import Pacing, RunConfig, Service, TaskSpec, default_output
from runner.display.announcing import (
    Announcement,
    announced,
    planned,
    unresolved_words,
)
from runner.display.closing import closing_text
from runner.display.story import print_story
from runner.display.summing import print_summary
from runner.records import (
    AttemptState,
    Endpoint,
    Failure,
    FailureKind,
    OutcomeState,
    Usage,
)
from runner.run_status import RunState, Stop, StopKind
from runner.summary import Summary

ITEMS = Path("/data/articles.jsonl")


def _config(**changes: object) -> RunConfig:
    config = RunConfig(
        items_path=ITEMS,
        task=TaskSpec(prompt="{{text}}", model="gpt-4o-mini"),
        pacing=Pacing(rpm=500, max_cost_usd=Decimal(5)),
        output=default_output(ITEMS),
    )
    return replace(config, **changes)  # type: ignore[arg-type]  # by name


def test_a_start_says_what_whom_how_fast_how_much_and_where_to() -> None:
    said = announced(
        Announcement(
            config=_config(),
            status=a_status(totals=replace(TOTALS, valid=0, invalid=0, failed=0)),
            proxy="http://p:3128",
            price_source="genai-prices 0.2.3",
            watch_command="runner status articles --watch",
        )
    )
    for words in (
        "run articles: 10,000 items of /data/articles.jsonl",
        "gpt-4o-mini (chat) at https://api.openai.com/v1, through proxy http://p:3128",
        "500 requests/min",
        "at most $5.00",
        "genai-prices 0.2.3",
        "/data/articles_processed.jsonl, articles_failed.jsonl, articles_summary.json",
        "runner status articles --watch",
    ):
        assert words in said
    assert len(said.splitlines()) <= 6


def test_a_resume_says_how_much_is_done_already() -> None:
    said = announced(Announcement(config=_config(), status=a_status()))
    assert "10,000 items of /data/articles.jsonl, 4,812 done, 5,188 to go" in said
    assert (
        "  cost    in all about $2.57, if the items left are like those done\n" in said
    )


def test_an_absent_dollar_limit_is_said() -> None:
    said = announced(Announcement(config=_config(pacing=Pacing()), status=a_status()))
    assert "no dollar limit (--max-cost)" in said
    assert "those the server tells of" in said


def test_a_simulated_server_is_called_so() -> None:
    config = _config(service=Service(scenario=""))
    said = announced(Announcement(config=config, status=a_status()))
    assert "a simulated server (nothing is billed)" in said


def _plan(worst_usd: Decimal | None, counted: int = 10_000) -> Plan:
    return Plan(
        items=10_000,
        rejected=2,
        first_request={"model": "gpt-4o-mini", "messages": ["\x1b[2JÜnï\u202e"]},
        counted=counted,
        input_tokens_estimate=1_200_000,
        worst_usd=worst_usd,
        price_source="genai-prices 0.2.3",
    )


def test_a_dry_run_shows_the_first_request_and_the_highest_price() -> None:
    shown = planned(_plan(Decimal("12.3")), _config())
    for words in (
        "10,000 items of /data/articles.jsonl, 2 lines left out",
        '"model": "gpt-4o-mini"',
        r"\u001b[2JÜnï\u202e",
        "1,200,000 input tokens in all",
        "at most $12.30, each item asked once",
        "nothing was created, nothing was sent",
    ):
        assert words in shown
    assert "\x1b" not in shown


def test_a_dry_run_with_a_limit_tells_what_the_first_items_cost() -> None:
    shown = planned(_plan(Decimal("0.02"), counted=20), _config())
    assert "1,200,000 input tokens in the first 20 items (--limit)" in shown
    assert "at most $0.02, each of the first 20 items (--limit) asked once" in shown


def test_a_dry_run_tells_of_lines_that_are_asked_more_than_once() -> None:
    shown = planned(replace(_plan(None), copies=1_200), _config())
    assert (
        "10,000 items of /data/articles.jsonl (1,200 of them copies of lines before),"
        " 2 lines left out"
    ) in shown
    assert "copies" not in planned(_plan(None), _config())


def test_a_dry_run_without_a_price_says_so() -> None:
    assert "cost unknown" in planned(_plan(None), _config())


def test_before_a_resume_what_may_be_paid_twice_is_named() -> None:
    unresolved = Unresolved(
        count=32,
        worst_usd=Decimal("0.0200"),
        first_items=("a-1", "a-2", "a-\x1b[2J3", "a-4"),
    )
    assert (
        "32 requests may have been billed without an answer (at most $0.02;"
        " items a-1, a-2, a-3, ...): they are asked again"
    ) == unresolved_words(unresolved)
    of_some = unresolved_words(replace(unresolved, of_done=3))
    assert of_some.endswith("asked again, but for 3 whose items have an outcome")


def _closing(stop: Stop | None, unresolved: int = 0) -> str:
    status = a_dead_status(state=RunState.STOPPED, unresolved=unresolved)
    return closing_text(
        Finish(stop=stop, status=status, summary=None),
        resume_command="runner resume articles",
        export_command="runner export articles",
        key_source="it came from the variable MY_KEY",
    )


def test_a_refused_key_is_told_where_it_came_from_and_no_other_stop_is() -> None:
    denied = Stop(kind=StopKind.DENIED, message="the server refuses the key")
    assert "key      it came from the variable MY_KEY" in _closing(denied)
    outage = Stop(kind=StopKind.OUTAGE, message="nothing answers")
    assert "MY_KEY" not in _closing(outage)


def test_what_was_lost_earlier_is_not_called_paid_once() -> None:
    """It may have been billed, and its question was asked again since."""
    status = a_dead_status(state=RunState.STOPPED, unresolved=0)
    lost = replace(status.totals, lost=4, lost_usd=Decimal("0.0003"), open=0)
    block = closing_text(
        Finish(stop=None, status=replace(status, totals=lost), summary=None),
        resume_command="",
        export_command="",
        key_source="",
    )
    assert (
        "all that came are recorded; 4 requests without an answer may have been billed"
        " (at most $0.0003), and were asked again"
    ) in block
    assert "paid twice" not in block


def test_a_long_reason_to_stop_does_not_break_the_table_of_sessions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    why = "the server refuses the key: " + "long words of a provider " * 8
    session = replace(a_summary().sessions[0], stopped_because=why)
    stream = _Terminal()
    print_summary(a_summary(sessions=(session, session)), Path("/data"), stream)
    rows = [line.rstrip() for line in stream.getvalue().splitlines()]
    rows = [line for line in rows if line.endswith("...")]
    assert 2 == len(rows)
    assert max(map(len, rows)) <= 100


def test_where_nobody_looks_at_a_terminal_a_reason_to_stop_is_told_in_full() -> None:
    why = "the server refuses the key: " + "long words of a provider " * 8
    session = replace(a_summary().sessions[0], stopped_because=why)
    assert 2 == _summed(a_summary(sessions=(session, session))).count(why.rstrip())


def test_a_stop_says_why_what_is_safe_and_how_to_go_on() -> None:
    stop = Stop(
        kind=StopKind.DENIED,
        message="the account is out of credit (insufficient_quota)",
        hint="add credit, then resume",
    )
    block = _closing(stop)
    for words in (
        "stopped: the account is out of credit (insufficient_quota)",
        "4,812 of 10,000 (48 %)",
        "5,188 pending",
        "nothing is lost",
        "add credit, then resume",
        "runner resume articles",
        "runner export articles",
    ):
        assert words in block
    assert "billed" not in block


def test_a_stop_that_left_requests_open_names_them_and_their_price() -> None:
    block = _closing(
        Stop(kind=StopKind.INTERRUPTED, message="stopped by Ctrl-C"), unresolved=32
    )
    assert block.startswith("stopped by Ctrl-C\n")
    assert (
        "32 requests without an answer may have been billed (at most $0.0201)" in block
    )


def test_what_was_lost_and_what_is_open_are_both_told() -> None:
    """Of two killed sessions: four requests asked again since, two not yet."""
    totals = replace(
        TOTALS, open=2, open_usd=Decimal("0.02"), lost=4, lost_usd=Decimal("0.0031")
    )
    status = a_dead_status(state=RunState.STOPPED, unresolved=2, totals=totals)
    block = closing_text(
        Finish(stop=None, status=status, summary=None),
        resume_command="runner resume articles",
        export_command="runner export articles",
        key_source="",
    )
    assert (
        "; 2 requests without an answer may have been billed (at most $0.02);"
        " a resume asks again; 4 requests without an answer may have been billed"
        " (at most $0.0031), and were asked again\n"
    ) in block


def test_a_failure_that_may_have_been_billed_is_not_called_all_well() -> None:
    """A read timeout, say: what the server made of it nobody knows."""
    totals = replace(
        TOTALS, open=0, possibly_billed=3, possibly_billed_usd=Decimal("0.01")
    )
    status = a_dead_status(state=RunState.STOPPED, unresolved=0, totals=totals)
    block = closing_text(
        Finish(stop=None, status=status, summary=None),
        resume_command="",
        export_command="",
        key_source="",
    )
    words = "3 requests that failed once sent may have been billed (at most $0.01)\n"
    assert f"; {words}" in block
    assert "paid twice" not in block


def test_a_limit_that_was_asked_for_is_a_pause() -> None:
    block = _closing(Stop(kind=StopKind.LIMIT, message="--limit 10 reached"))
    assert block.startswith("paused: --limit 10 reached\n")


def test_after_the_dollar_cap_the_command_that_goes_on_raises_it() -> None:
    """Typed as it was, the next session would stop where this one did."""
    block = _closing(Stop(kind=StopKind.BUDGET, message="$1 of $1 are spent"))
    assert "  go on    runner resume articles --max-cost USD\n" in block
    limit = Stop(kind=StopKind.LIMIT, message="--limit 10 reached")
    assert "--max-cost" not in _closing(limit)


class _Terminal(io.StringIO):
    """Somebody looks."""

    def isatty(self) -> bool:
        return True


def _summed(summary: Summary) -> str:
    stream = io.StringIO()
    print_summary(summary, Path("/data"), stream)
    return stream.getvalue()


def test_a_finished_run_shows_its_bill_and_its_files() -> None:
    shown = _summed(a_summary())
    for words in (
        "articles: finished",
        "10,000: 9,950 valid, 30 invalid, 20 failed",
        "5,012 sent",
        "$1.2346 (genai-prices 0.2.3)",
        "of it $0.01 for answers judged invalid",
        "/data/articles_processed.jsonl  9,980 lines",
        "/data/articles_failed.jsonl  20 lines",
        "/data/articles_summary.json",
    ):
        assert words in shown
    assert "session" not in shown


def test_each_session_has_its_line_when_there_were_several() -> None:
    died = a_session(1, ended_unix_s=None, duration_s=None, stopped_because=None)
    shown = _summed(a_summary(sessions=(died, a_session(2))))
    first, second = shown.splitlines()[-2:]
    assert "its process died" in first
    assert "unknown" in first
    assert "1 h" in second
    assert "50" in second
    assert "$0.75" in second


def test_what_is_uncertain_in_the_bill_is_said_at_its_highest() -> None:
    totals = replace(
        a_summary().totals,
        possibly_billed=3,
        possibly_billed_usd=Decimal("0.03"),
        lost=2,
        lost_unpriced=2,
    )
    shown = _summed(a_summary(totals=totals))
    assert "perhaps $0.03 more: 3 requests failed after they had been sent" in shown
    assert (
        "perhaps more, nobody knows how much: 2 requests lost and asked again" in shown
    )
    one = replace(totals, possibly_billed=1)
    assert "1 request failed after it had been sent" in _summed(a_summary(totals=one))


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (RunState.RUNNING, "$0.02 more: 2 requests in flight, or without a known"),
        (RunState.DEAD, "$0.02 more: 2 requests without a known outcome"),
    ],
)
def test_while_a_run_works_its_open_requests_may_just_be_in_flight(
    state: RunState, said: str
) -> None:
    totals = replace(a_summary().totals, open=2, open_usd=Decimal("0.02"))
    assert f"perhaps {said}" in _summed(a_summary(totals=totals, state=state))


def test_a_partial_export_says_what_is_missing() -> None:
    shown = _summed(a_summary(valid=50, state=RunState.STOPPED, rejected_lines=1))
    assert "9,900 pending (in no file yet)" in shown
    assert "1 line left out" in shown


def test_an_export_that_was_overtaken_says_which_files_are_kept_and_no_numbers() -> (
    None
):
    """Its numbers are not those of the files."""
    shown = _summed(a_summary(valid=50, overtaken=True))
    assert shown.startswith("kept ")
    assert "articles_processed.jsonl and the two files beside it" in shown
    assert "with all that was recorded when this one began" in shown
    assert 1 == shown.count("\n")


def _attempt(**changes: object) -> Attempt:
    attempt = Attempt(
        number=7,
        item_id="a-7",
        fingerprint="00",
        attempt=1,
        state=AttemptState.SETTLED,
        slot=1,
        started_unix_s=STARTED_UNIX_S,
        request_digest="00",
        endpoint=Endpoint.CHAT,
        worst_usd=Decimal("0.01"),
        latency_s=1.234,
        status=200,
        request_id="req_1",
        usage=Usage(input_tokens=812, output_tokens=34),
        cost_usd=Decimal("0.0012"),
        model="gpt-4o",
    )
    return replace(attempt, **changes)  # type: ignore[arg-type]  # by name


_FAILED = Failure(
    kind=FailureKind.TIMEOUT,
    message="no answer within 600 s",
    possibly_billed=True,
)


@pytest.fixture
def story() -> ItemStory:
    return ItemStory(
        item_id="a-\x1b[31m7",
        number=7,
        line=8,
        state=OutcomeState.INVALID,
        reason="not one of: yes, no",
        attempts=(
            (
                _attempt(failure=_FAILED, status=None, usage=None, cost_usd=None),
                b"",
            ),
            (_attempt(attempt=2), b'{"text": "\x1b]0;gotcha\x07perhaps [bold]"}\xff'),
            (_attempt(attempt=3, state=AttemptState.NOT_SENT), b""),
        ),
        result=None,
    )


def test_a_story_tells_of_each_attempt_and_why_the_item_is_invalid(
    story: ItemStory,
) -> None:
    stream = io.StringIO()
    print_story(story, stream)
    told = stream.getvalue()
    for words in (
        "item a-7 (line 8): invalid",
        "because not one of: yes, no",
        "attempt 1: failed",
        "timeout: no answer within 600 s (perhaps billed)",
        "cost at most $0.01",
        "attempt 2: answered",
        "status 200, 1.23 s, 812 tokens in, 34 out, cost $0.0012, model gpt-4o",
        "request id req_1",
        '{"text": "perhaps [bold]"}',
        "attempt 3: never sent",
    ):
        assert words in told
    assert "\x1b" not in told


def test_the_text_of_an_answer_can_be_read_beside_its_bytes(story: ItemStory) -> None:
    """The bytes of a long one are a single line of JSON."""
    text = "first line\nsecond \x1b[31mline"
    body = json.dumps({"choices": [{"message": {"content": text}}]}).encode()
    stream = io.StringIO()
    print_story(replace(story, attempts=((_attempt(attempt=2), body),)), stream)
    told = stream.getvalue()
    assert "  | first line\n  | second line\n  as received:\n  {" in told
    assert "\x1b" not in told


def test_an_item_nobody_asked_yet_says_so(story: ItemStory) -> None:
    stream = io.StringIO()
    print_story(replace(story, state=None, reason=None, attempts=()), stream)
    assert "pending" in stream.getvalue()
    assert "not asked yet" in stream.getvalue()
