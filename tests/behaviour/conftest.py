"""Benches for whole runs."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bench import Bench, started_bench


@pytest.fixture
def make_bench(tmp_path: Path) -> Iterator[Callable[[str], Bench]]:
    """Start a bench whose simulator plays the given scenario."""
    benches: list[Bench] = []

    def make(scenario: str) -> Bench:
        benches.append(started_bench(tmp_path, scenario))
        return benches[-1]

    yield make
    for bench in benches:
        bench.close()
