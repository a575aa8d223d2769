"""Benches for whole runs."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bench import Bench, started_bench


@pytest.fixture
def make_bench(tmp_path: Path) -> Iterator[Callable[[str], Bench]]:
    """Start a bench whose simulator plays the given scenario.

    Whatever a test did to its runs: in the end their totals equal a recount.
    """
    benches: list[Bench] = []

    def make(scenario: str) -> Bench:
        benches.append(started_bench(tmp_path, scenario))
        return benches[-1]

    yield make
    for bench in benches:
        bench.close()
    for bench in benches:
        for kept, counted in bench.books():
            assert kept == counted
