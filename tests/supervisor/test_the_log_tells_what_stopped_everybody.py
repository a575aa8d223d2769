"""In the morning the log says where the time went."""

import pytest

from runner.run_status import Pace
from runner.supervisor.holds import Holds

OUTAGE = Pace(waiting_for="nothing answers: 503", next_try_s=30.0)
LIMIT = Pace(waiting_for="--rpm 60", next_try_s=None)


def test_an_outage_is_told_once_and_its_end_with_what_it_took(
    caplog: pytest.LogCaptureFixture,
) -> None:
    holds = Holds()
    with caplog.at_level("INFO"):
        for second in range(50):
            holds.look(OUTAGE, 100.0 + second)
        holds.look(LIMIT, 150.0)
        holds.look(LIMIT, 151.0)
    assert caplog.messages == [
        "nothing new is sent: nothing answers: 503",
        "goes on after 50 s",
    ]


def test_short_pauses_and_the_limits_own_pace_are_not_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    holds = Holds()
    with caplog.at_level("INFO"):
        for second in range(60):
            holds.look(LIMIT if second % 5 == 4 else OUTAGE, 100.0 + second)
        for second in range(60):
            holds.look(LIMIT, 200.0 + second)
    assert caplog.messages == []
