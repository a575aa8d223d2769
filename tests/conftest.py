"""What all tests share."""

import signal

import pytest
from fake_clock import FakeClock
from hypothesis import HealthCheck, settings

# A shell starts what it puts into the background with SIGINT ignored, and ignored it
# stays in every child: a Ctrl-C in a test would reach nobody.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Examples are judged by what they show, not by how fast a busy machine draws them.
settings.register_profile(
    "house", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("house")


@pytest.fixture
def clock() -> FakeClock:
    """A clock that only a test moves."""
    return FakeClock()
