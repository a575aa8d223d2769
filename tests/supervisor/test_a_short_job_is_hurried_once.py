"""Whether a session needs an even pace is asked until it is known, then never again."""

from typing import Any

import pytest

from runner.supervisor.hurry import Hurry


class Limiter:
    """Knows nothing before the third question."""

    def __init__(self, *, fits: bool) -> None:
        self.asked: list[int] = []
        self._fits = fits

    def hurry(self, requests: int) -> bool | None:
        """As the real one."""
        self.asked.append(requests)
        return None if len(self.asked) < 3 else self._fits


@pytest.mark.parametrize("fits", [True, False])
def test_it_is_asked_until_something_has_answered(fits: bool) -> None:
    limiter: Any = Limiter(fits=fits)
    hurry = Hurry(limiter, limit=None)
    for left in (50, 49, 48, 20, 10):
        hurry.look(left)
    assert limiter.asked == [50, 49, 48]


def test_items_beyond_the_sessions_limit_are_none_of_its_job() -> None:
    limiter: Any = Limiter(fits=True)
    Hurry(limiter, limit=30).look(50)
    assert limiter.asked == [30]
