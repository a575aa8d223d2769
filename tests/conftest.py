"""What all tests share."""

import pytest
from fake_clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    """A clock that only a test moves."""
    return FakeClock()
