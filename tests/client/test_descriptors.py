"""Every connection is an open file: too few are found before the first call."""

import resource

import pytest

from runner.client.descriptors import ensure_descriptors
from runner.errors import UsageError


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The process's limits, soft and hard; only the last entry is in force."""
    known = [(256, 1024)]

    def change(_: int, wanted: tuple[int, int]) -> None:
        if wanted[0] > wanted[1]:
            raise ValueError("current limit exceeds maximum limit")
        known.append(wanted)

    monkeypatch.setattr("resource.getrlimit", lambda _: known[-1])
    monkeypatch.setattr("resource.setrlimit", change)
    return known


def test_enough_is_left_alone(limits: list[tuple[int, int]]) -> None:
    ensure_descriptors(16)
    assert limits == [(256, 1024)]


def test_a_low_soft_limit_is_raised(limits: list[tuple[int, int]]) -> None:
    ensure_descriptors(500)
    assert limits[-1] == (564, 1024)


def test_a_low_hard_limit_is_named_with_what_to_do(
    limits: list[tuple[int, int]],
) -> None:
    with pytest.raises(UsageError) as raised:
        ensure_descriptors(2000)
    assert str(raised.value) == (
        "2000 calls at once need 2064 open files, the system allows 1024: "
        "lower --threads, or raise `ulimit -n`"
    )


def test_no_limit_is_enough(limits: list[tuple[int, int]]) -> None:
    limits.append((resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    ensure_descriptors(10**6)
    assert limits[-1] == (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
