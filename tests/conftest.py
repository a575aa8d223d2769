"""What all tests share."""

import pytest
from fake_clock import FakeClock
from hypothesis import HealthCheck, settings

# Examples are judged by what they show, not by how fast a busy machine draws them.
settings.register_profile(
    "house", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("house")


@pytest.fixture
def clock() -> FakeClock:
    """A clock that only a test moves."""
    return FakeClock()
