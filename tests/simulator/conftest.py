"""A simulator for tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from simulator_bench import Bench

from runner.simulator import Simulator, launch


@pytest.fixture(scope="session")
def one_simulator(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Simulator, Path]]:
    ledger = tmp_path_factory.mktemp("simulator") / "ledger.jsonl"
    with launch("latency=0", ledger, seed=1) as simulator:
        yield simulator, ledger


@pytest.fixture
def bench(one_simulator: tuple[Simulator, Path]) -> Iterator[Bench]:
    bench = Bench(*one_simulator)
    bench.set("")
    with bench.session:
        yield bench
    bench.set("")
