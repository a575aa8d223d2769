"""The bill: exact to the last digit, the same every time, the sum of its parts."""

import random
from collections.abc import Callable
from dataclasses import fields
from decimal import Decimal
from hashlib import sha256

import pytest
from finalizer_cases import CUT, Night, numbered, unresolved
from hypothesis import given
from hypothesis import strategies as st

from runner.finalizer.sessions import session_summaries
from runner.records import JsonObject, OutcomeState, Totals, Usage
from runner.run_status import RunState
from runner.summary import Summary

NightOver = Callable[..., Night]

_MILLION = Decimal(1_000_000)
_IN, _CACHED, _OUT = Decimal("0.15"), Decimal("0.075"), Decimal("0.6")
"""USD per million tokens, as a simulator would charge them."""


def test_the_cost_is_the_sum_over_all_answers_to_the_last_digit(
    night_over: NightOver,
) -> None:
    """As a ledger kept beside the run has it: tokens times prices."""
    night, chance = night_over(numbered(60), slots=3), random.Random(7)
    ledger: list[Usage] = []
    for row in range(60):
        for _ in range(chance.randint(1, 3)):
            usage = Usage(
                input_tokens=chance.randint(1, 99_999),
                cached_input_tokens=chance.randint(0, 1),
                output_tokens=chance.randint(0, 9_999),
                reasoning_tokens=chance.randint(0, 1),
            )
            ledger.append(usage)
            begun = night.begin(row, slot=chance.randint(1, 3))
            night.settle(begun, usage=usage, cost=str(charged(usage)))
        night.record(row)
    night.export()
    tokens = sum(ledger, Usage())
    assert Decimal(night.summary["cost_usd"]) == charged(tokens)
    assert night.summary["cost_at_most_usd"] == night.summary["cost_usd"]
    assert night.summary["tokens"] == {
        "input": tokens.input_tokens,
        "cached_input": tokens.cached_input_tokens,
        "output": tokens.output_tokens,
        "reasoning": tokens.reasoning_tokens,
        "uncounted": 0,
    }


def charged(usage: Usage) -> Decimal:
    """The price of so many tokens, unrounded."""
    fresh = usage.input_tokens - usage.cached_input_tokens
    parts = (fresh * _IN, usage.cached_input_tokens * _CACHED)
    return (sum(parts) + usage.output_tokens * _OUT) / _MILLION


@pytest.fixture
def eventful(night_over: NightOver) -> Night:
    """Two sessions: the first died with a request open; the second asked again."""
    night = night_over(numbered(6), slots=2)
    night.note_session(1, started_unix_s=1000.0, totals_before={})
    night.answer(0)
    invalid = night.settle(night.begin(1), cost="0.002")
    night.settle(night.begin(1), cost="0.004")
    night.record(
        1,
        answer=invalid,
        invalid_answers=1,
        invalid_answers_usd=Decimal("0.002"),
    )
    died = night.begin(2)
    before = night.totals().to_json()
    night.note_session(2, started_unix_s=5000.0, totals_before=before)
    night.settle(night.begin(2, supersedes=(unresolved(died),)), cost=None)
    night.record(2, OutcomeState.INVALID)
    night.settle(night.begin(3, slot=2), failure=CUT, status=None)
    night.record(3, OutcomeState.FAILED, slot=2)
    night.begin(4, worst_usd=Decimal("0.03"))
    return night


def test_every_kind_of_money_has_its_own_line(eventful: Night) -> None:
    """Unknown is null: one answer here has no price, so the most is unknown too."""
    eventful.export(state=RunState.DEAD, stopped_because="gone")
    summary = eventful.summary
    assert {name: summary[name] for name in summary if "usd" in name} == {
        "cost_usd": "0.007",
        "invalid_answers_usd": "0.002",
        "possibly_billed_usd": "0.01",
        "unresolved_usd": "0.03",
        "lost_usd": "0.01",
        "cost_at_most_usd": None,
    }
    assert summary["requests"] == {
        "sent": 7,
        "answered": 4,
        "invalid": 1,
        "failures": 1,
        "retried": 2,
        "not_sent": 0,
        "unresolved": 1,
        "lost": 1,
        "possibly_billed": 1,
    }
    assert (summary["unpriced"], summary["complete"]) == (1, False)
    assert (summary["state"], summary["stopped_because"]) == ("dead", "gone")


def test_the_sessions_add_up_to_the_run(eventful: Night) -> None:
    """A session that died ends where the next one began."""
    summary = eventful.export(state=RunState.DEAD)
    first, second = summary.sessions
    assert added_up(summary) == summary.totals == eventful.totals()
    assert (first.totals.answered, second.totals.answered) == (3, 1)
    assert (first.totals.lost, second.totals.lost) == (0, 1)
    assert (first.ended_unix_s, first.duration_s) == (None, None)
    assert (first.requests_per_minute, first.tokens_per_minute) == (None, None)


def test_a_finished_session_says_how_fast_it_was(night_over: NightOver) -> None:
    """Over its whole duration: waiting counts."""
    night = night_over(numbered(3))
    session = {"started_unix_s": 1000.0, "totals_before": {}, "rpm": 60, "tpm": None}
    night.note_session(1, **session)
    for row in range(3):
        night.answer(row)
    night.note_session(
        1,
        **session,
        ended_unix_s=1120.5,
        stopped_because=None,
        totals_after=night.totals().to_json(),
    )
    night.export()
    assert night.summary["sessions"] == [
        {
            "session": 1,
            "started_unix_s": 1000.0,
            "ended_unix_s": 1120.5,
            "duration_s": 120.5,
            "stopped_because": None,
            "workers": 2,
            "threads": 8,
            "rpm": 60,
            "tpm": None,
            "requests": {
                "sent": 3,
                "answered": 3,
                "invalid": 0,
                "failures": 0,
                "retried": 0,
                "lost": 0,
            },
            "tokens": {
                "input": 21,
                "cached_input": 0,
                "output": 9,
                "reasoning": 0,
                "uncounted": 0,
            },
            "cost_usd": "0.003",
            "requests_per_minute": 1.49,
            "tokens_per_minute": 14.94,
        }
    ]


def test_judging_anew_between_sessions_keeps_the_sum(night_over: NightOver) -> None:
    """Nobody sent anything, but an invalid answer became a valid one."""
    night = night_over(numbered(2))
    night.note_session(1, started_unix_s=1.0, totals_before={})
    wrong: JsonObject = {
        "invalid_answers": 1,
        "invalid_answers_usd": Decimal("0.001"),
    }
    night.settle(night.begin(0))
    first = night.record(0, OutcomeState.INVALID, **wrong)
    after = night.totals().to_json()
    night.note_session(
        1, started_unix_s=1.0, ended_unix_s=9.0, totals_before={}, totals_after=after
    )
    night.record(0, slot=0, generation=1, replaced=first)
    before = night.totals().to_json()
    night.note_session(2, started_unix_s=10.0, totals_before=before)
    night.answer(1)
    summary = night.export()
    assert added_up(summary) == summary.totals
    assert summary.totals.invalid_answers == 0
    assert [session.totals.valid for session in summary.sessions] == [1, 1]


def added_up(summary: Summary) -> Totals:
    """All sessions' totals together."""
    return sum((session.totals for session in summary.sessions), Totals())


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from([f.name for f in fields(Totals) if "_usd" not in f.name]),
            st.integers(1, 10**9),
        )
        | st.dictionaries(
            st.just("answers_usd"), st.integers(1, 10**12).map(lambda n: f"{n}E-9")
        ),
        min_size=1,
    )
)
def test_any_chain_of_sessions_adds_up(chain: list[JsonObject]) -> None:
    """Whatever each of them found, and whether or not it noted its end."""
    stored = [
        {"session": at + 1, "started_unix_s": 1.0, "totals_before": found}
        for at, found in enumerate([{}, *chain[:-1]])
    ]
    totals = Totals.from_json(chain[-1])
    parts = session_summaries(stored, totals, None)
    assert sum((part.totals for part in parts), Totals()) == totals


def test_the_same_state_gives_the_same_bytes(eventful: Night) -> None:
    """Also hours later, with all shards closed and another clock."""
    eventful.export(state=RunState.DEAD, now_unix_s=1.0)
    first = (eventful.processed, eventful.failed, eventful.summary)
    eventful.close()
    eventful.export(state=RunState.DEAD, now_unix_s=9e9)
    assert (eventful.processed, eventful.failed, eventful.summary) == first


def test_only_a_session_at_work_is_measured_by_the_clock(eventful: Night) -> None:
    working = eventful.export(state=RunState.RUNNING, now_unix_s=5060.0).sessions
    assert [session.duration_s for session in working] == [None, 60.0]
    dead = eventful.export(state=RunState.DEAD, now_unix_s=5060.0).sessions
    assert [session.duration_s for session in dead] == [None, None]


def test_a_clock_set_back_gives_no_negative_speed(night_over: NightOver) -> None:
    night = night_over(numbered(1))
    night.note_session(1, started_unix_s=9.0, ended_unix_s=1.0, totals_before={})
    session = night.export().sessions[0]
    assert (session.duration_s, session.requests_per_minute) == (None, None)


def test_the_summary_names_the_digests_of_both_files(eventful: Night) -> None:
    eventful.export()
    assert eventful.summary["files"] == {
        "processed": {
            "name": "items_processed.jsonl",
            "lines": 3,
            "bytes": len(eventful.processed),
            "sha256": sha256(eventful.processed).hexdigest(),
        },
        "failed": {
            "name": "items_failed.jsonl",
            "lines": 1,
            "bytes": len(eventful.failed),
            "sha256": sha256(eventful.failed).hexdigest(),
        },
        "summary": {"name": "items_summary.json"},
    }
