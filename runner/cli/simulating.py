"""Can the embedded simulator run, and how is it started for others?

Floor: faces. One of the two that may import the simulator.
"""

import importlib.util
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from runner.config import Service
from runner.errors import UsageError


def check_simulator(service: Service) -> None:
    """UsageError if the run needs the simulator and it cannot be had."""
    if service.scenario is None:
        return
    from runner.simulator.scenario_text import (  # noqa: PLC0415 - only when simulating
        ScenarioError,
        parse,
    )

    try:
        parse(service.scenario)
    except ScenarioError as error:
        raise UsageError(
            f"--scenario: {error}", "all settings: runner simulate --help"
        ) from error
    if importlib.util.find_spec("aiohttp") is None:
        raise UsageError("the simulator needs aiohttp", "pip install aiohttp")


def become_simulator(arguments: Sequence[str]) -> NoReturn:
    """Replace this process by the simulator: its own options, its own help."""
    command = [sys.executable, "-m", "runner.simulator", *arguments]
    os.execv(sys.executable, command)  # noqa: S606 - our own module, no shell
