"""Engines, a server, and a run for one worker."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.checkpoint.manifest import Manifest
from runner.clock import SystemClock
from runner.config import Pacing, RunConfig, Service, TaskSpec, default_output
from runner.engines import load
from runner.limiter import begin_session
from runner.protocols import Engine, WorkerSettings
from runner.session.starting import create_run
from runner.simulator import Simulator, launch
from runner.task import identity_digest
from runner.worker.wants import ceilings_of, place_of


@pytest.fixture(params=["inline", "local"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Each engine in turn."""
    loaded = load(request.param)
    yield loaded
    loaded.close()


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Simulator]:
    """A server that echoes after a fifth of a second."""
    scenario = "latency=0.2,latency_spread=0,answer=echo"
    with launch(scenario, tmp_path / "ledger.jsonl", 1) as running:
        yield running


@pytest.fixture
def settings(tmp_path: Path, simulator: Simulator) -> WorkerSettings:
    """Worker 1 of a run of twenty items, with four threads."""
    items = tmp_path / "items.jsonl"
    items.write_text("".join(json.dumps({"id": n}) + "\n" for n in range(20)))
    config = RunConfig(
        items_path=items,
        task=TaskSpec(prompt="{{id}}", model="gpt-4o-mini"),
        service=Service(base_url=simulator.base_url),
        pacing=Pacing(workers=1, threads=4),
        output=default_output(items),
    )
    clock = SystemClock()
    folder = create_run(
        config,
        name=None,
        state_dir=tmp_path / "state",
        new=False,
        clock=clock,
        on_progress=None,
    )
    manifest = Manifest.load(folder).with_shard(folder, 1)
    key_cell = tmp_path / "key.cell"
    ceilings = ceilings_of(config.pacing)
    begin_session(place_of(folder, key_cell, 0), ceilings, {}, clock)
    return WorkerSettings(
        run_folder=folder,
        run_id=manifest.run_id,
        slot=1,
        threads=4,
        allowed=4,
        key_cell=key_cell,
        config=manifest.config,
        task_digest=identity_digest(manifest.config.task),
    )
