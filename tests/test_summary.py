"""What a summary says of money and completeness."""

from decimal import Decimal
from typing import Any

import pytest

from runner.records import Totals
from runner.run_status import RunState
from runner.summary import Summary, WrittenFile

FILE = WrittenFile(name="f", lines=0, size_bytes=0, sha256="")


def summary(**changes: Any) -> Summary:
    """Ten items, all valid, nothing spent."""
    return Summary(
        **{
            "run": "night",
            "state": RunState.FINISHED,
            "stopped_because": None,
            "format": "jsonl",
            "items": 10,
            "valid": 10,
            "invalid": 0,
            "failed": 0,
            "rejected_lines": 0,
            "totals": Totals(),
            "sessions": (),
            "models": (),
            "price_source": "",
            "simulated": False,
            "processed_file": FILE,
            "failed_file": FILE,
            "summary_name": "s",
            **changes,
        }
    )


@pytest.mark.parametrize(
    ("totals", "unknown"),
    [
        ({"possibly_billed_unpriced": 1}, "possibly_billed_usd"),
        ({"open_unpriced": 1}, "unresolved_usd"),
        ({"lost_unpriced": 1}, "lost_usd"),
        ({"answered": 1, "unpriced": 1}, "cost_usd"),
        ({"answered": 1, "unpriced": 1}, "invalid_answers_usd"),
    ],
)
def test_what_has_no_price_is_unknown_not_free(
    totals: dict[str, Any], unknown: str
) -> None:
    """Null for the part, and null for the most it can be in all."""
    stored = summary(totals=Totals(**totals)).to_json()
    assert stored[unknown] is None
    assert stored["cost_at_most_usd"] is None


def test_nothing_spent_is_zero_dollars() -> None:
    stored = summary(totals=Totals(answers_usd=Decimal("0E-9"))).to_json()
    assert stored["cost_usd"] == stored["cost_at_most_usd"] == "0"


def test_small_money_keeps_its_digits_and_has_no_exponent() -> None:
    totals = Totals(answered=1, answers_usd=Decimal("1.5E-9"))
    assert summary(totals=totals).to_json()["cost_usd"] == "0.0000000015"


@pytest.mark.parametrize(
    ("counts", "pending"),
    [({}, 0), ({"valid": 7, "invalid": 2}, 1), ({"valid": 7, "failed": 3}, 0)],
)
def test_a_run_is_complete_when_no_item_is_pending(
    counts: dict[str, int], pending: int
) -> None:
    """Invalid and failed items are done, too."""
    found = summary(**counts)
    assert (found.pending, found.complete) == (pending, not pending)
