"""A simulated OpenAI-compatible server: demo, test bench, truth about money.

    serving    from settings to a process      listening  when the door is open
    listen_error why it cannot be              parent     is the starter still there
    launching  one for a run                   scenario   how a server behaves
    scenario_text settings as text             server     a request on its way
    provider   what is decided about it        plans      what becomes of it
    asked      what it asks                    answers    what the model says
    offered_choices answers a prompt allows    phrases    made-up text
    schema_answers documents by a schema       pattern_text text by a pattern
    vectors    embeddings                      shapes     what an answer is wrapped in
    wire       JSON and replies as bytes       delivery   how they go out, or not
    faults     what can go wrong               draws      chance that repeats itself
    refusals   how a no is worded              limits     is there room
    meters     how much is used                limit_headers  as headers say it
    models     which there are                 prices     what they cost
    memory     what was seen of each prompt    ledger     what was billed
    stats      what was asked

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
