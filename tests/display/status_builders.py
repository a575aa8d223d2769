"""Fixed statuses and summaries for tests of what a person sees."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from runner.records import Totals
from runner.run_status import Pace, RunState, RunStatus, SlowItem
from runner.summary import SessionSummary, Summary, WrittenFile

STARTED_UNIX_S = 1_800_000_000.0

TOTALS = Totals(
    valid=4_790,
    invalid=14,
    failed=8,
    begun=5_130,
    not_sent=118,
    retried=90,
    open=32,
    answered=4_900,
    invalid_answers=20,
    input_tokens=1_234_567,
    cached_input_tokens=12_345,
    output_tokens=234_567,
    reasoning_tokens=5_000,
    answers_usd=Decimal("1.23456"),
    invalid_answers_usd=Decimal("0.01"),
    open_usd=Decimal("0.02001"),
)


def a_status(**changes: Any) -> RunStatus:
    """A run in full work: 4,812 of 10,000 items have an outcome."""
    status = RunStatus(
        run="articles",
        state=RunState.RUNNING,
        stopped_because=None,
        items=10_000,
        totals=TOTALS,
        unresolved=0,
        in_flight=32,
        requests_per_minute=812.0,
        tokens_per_minute=120_400.0,
        pace=Pace(rpm_limit=1_000, tpm_limit=200_000),
        eta_s=3_900.0,
        started_unix_s=STARTED_UNIX_S,
        heartbeat_unix_s=STARTED_UNIX_S + 60,
        slowest=(SlowItem(number=4711, line=4712, attempt=2, age_s=38.0),),
    )
    return replace(status, **changes)


def a_dead_status(**changes: Any) -> RunStatus:
    """The same run after SIGKILL: 32 requests were in flight."""
    dead: dict[str, Any] = {
        "state": RunState.DEAD,
        "in_flight": 0,
        "unresolved": 32,
        "requests_per_minute": None,
        "tokens_per_minute": None,
        "eta_s": None,
        "slowest": (),
    }
    return a_status(**{**dead, **changes})


def a_session(number: int, **changes: Any) -> SessionSummary:
    """A session of an hour."""
    session = SessionSummary(
        session=number,
        started_unix_s=STARTED_UNIX_S,
        ended_unix_s=STARTED_UNIX_S + 3_600,
        duration_s=3_600.0,
        stopped_because=None,
        workers=2,
        threads=16,
        rpm=1_000,
        tpm=None,
        totals=Totals(begun=3_000, answered=3_000, answers_usd=Decimal("0.75")),
    )
    return replace(session, **changes)


def a_summary(**changes: Any) -> Summary:
    """A finished run of 10,000 items, some invalid and some failed."""
    totals = replace(
        TOTALS, valid=9_950, invalid=30, failed=20, open=0, open_usd=Decimal(0)
    )
    summary = Summary(
        run="articles",
        state=RunState.FINISHED,
        stopped_because=None,
        format="jsonl",
        items=10_000,
        valid=9_950,
        invalid=30,
        failed=20,
        rejected_lines=0,
        totals=totals,
        sessions=(a_session(1),),
        models=("gpt-4o-mini",),
        price_source="genai-prices 0.2.3",
        simulated=False,
        processed_file=_file("articles_processed.jsonl", 9_980),
        failed_file=_file("articles_failed.jsonl", 20),
        summary_name="articles_summary.json",
    )
    return replace(summary, **changes)


def _file(name: str, lines: int) -> WrittenFile:
    return WrittenFile(name=name, lines=lines, size_bytes=1_000, sha256="0" * 64)
