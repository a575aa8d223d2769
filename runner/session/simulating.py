"""The embedded simulator of a run with `--simulate`.

The manifest remembers "simulated" and the scenario, never the port: each session
starts its own server, all of them on one ledger.

Floor: the run. One of the two that may import the simulator.
"""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

from runner.config import Price, RunConfig, Service
from runner.errors import UsageError
from runner.run_folder import LEDGER
from runner.simulator import PRICES, LaunchError, ScenarioError, launch

_SEED = 1


def simulated_service(service: Service) -> Service:
    """The service with the simulator's own price table, where it is embedded."""
    if service.scenario is None:
        return service
    prices = {
        model: Price(input_usd=price[0], cached_input_usd=price[1], output_usd=price[2])
        for model, price in PRICES.items()
    }
    return dataclasses.replace(
        service, simulated=True, prices={**prices, **service.prices}
    )


@contextlib.contextmanager
def server_for(run_folder: Path, config: RunConfig) -> Iterator[RunConfig]:
    """The config with the base URL to use in this session."""
    scenario = config.service.scenario
    if scenario is None:
        yield config
        return
    try:
        simulator = launch(scenario, run_folder / LEDGER, _SEED)
    except (LaunchError, ScenarioError) as error:
        raise UsageError(f"the simulator does not start: {error}") from error
    try:
        service = dataclasses.replace(config.service, base_url=simulator.base_url)
        yield dataclasses.replace(config, service=service)
    finally:
        simulator.stop()
