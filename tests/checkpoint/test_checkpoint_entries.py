"""What is stored of an attempt or an outcome comes back as it was."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.checkpoint.entries import Attempt, Outcome
from runner.records import Endpoint, OutcomeState

FINGERPRINT = "ab" * 16
IDS = st.one_of(st.text(), st.integers(), st.booleans(), st.floats(allow_nan=False))


def an_attempt(item_id: Any) -> Attempt:
    return Attempt(
        number=0,
        item_id=item_id,
        fingerprint=FINGERPRINT,
        attempt=1,
        slot=1,
        started_unix_s=1.5,
        endpoint=Endpoint.CHAT,
        request_digest="cd",
        worst_usd=Decimal("0.01"),
    )


def through_json(stored: Any) -> Any:
    return json.loads(json.dumps(stored))


@given(item_id=IDS)
def test_an_attempt_keeps_its_items_id_whatever_that_is(item_id: Any) -> None:
    attempt = an_attempt(item_id)
    found = Attempt.from_json(through_json(attempt.to_json()))
    assert (found, type(found.item_id)) == (attempt, type(item_id))


@pytest.mark.parametrize("item_id", [False, True, 0, "", 0.0])
def test_so_does_an_outcome(item_id: Any) -> None:
    outcome = Outcome(
        number=0,
        item_id=item_id,
        fingerprint=FINGERPRINT,
        state=OutcomeState.VALID,
        finished_unix_s=2.5,
    )
    found = Outcome.from_json(through_json(outcome.to_json()))
    assert (found, type(found.item_id)) == (outcome, type(item_id))
