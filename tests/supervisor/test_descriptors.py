"""Every connection is an open file: too few are found before the first call."""

import resource

import pytest

from runner.errors import UsageError
from runner.supervisor.concurrency import Concurrency, check_descriptors


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


def check(threads: int, workers: int = 1) -> None:
    check_descriptors(
        Concurrency(workers=workers, threads=threads, most=1, first=1, usual_workers=1)
    )


def test_enough_is_left_alone(limits: list[tuple[int, int]]) -> None:
    check(16)
    assert limits == [(256, 1024)]


def test_a_low_soft_limit_is_raised(limits: list[tuple[int, int]]) -> None:
    check(500)
    assert limits[-1] == (564, 1024)


def test_many_workers_need_some_here_too(limits: list[tuple[int, int]]) -> None:
    check(1, workers=100)
    assert limits[-1] == (464, 1024)


def test_a_low_hard_limit_is_named_with_what_to_do(
    limits: list[tuple[int, int]],
) -> None:
    with pytest.raises(UsageError) as raised:
        check(2000)
    assert str(raised.value) == (
        "2064 open files are needed for 2000 threads per worker, but this system"
        " allows 1024: raise it with `ulimit -n`, or use fewer --threads and more"
        " --workers"
    )
    assert limits == [(256, 1024)]


def test_no_limit_is_enough(limits: list[tuple[int, int]]) -> None:
    limits.append((resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    check(10**6)
    assert limits[-1] == (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
