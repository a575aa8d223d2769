"""A simulated OpenAI-compatible server: demo, test bench, truth about money.

Imports nothing of runner. This door needs no aiohttp; the server itself does.
"""

from runner.simulator.launching import LaunchError, Simulator, launch
from runner.simulator.ledger import LedgerError, read_ledger
from runner.simulator.prices import PRICES, cost_usd
from runner.simulator.scenario_text import SETTINGS, ScenarioError, Setting, settings

__all__ = [
    "PRICES",
    "SETTINGS",
    "LaunchError",
    "LedgerError",
    "ScenarioError",
    "Setting",
    "Simulator",
    "cost_usd",
    "launch",
    "read_ledger",
    "settings",
]
