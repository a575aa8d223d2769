"""From settings to a listening process, until it is told to end.

Owns the process: signals, the ready file, the watch over its parent.

Floor: simulator, top. Knows server.
"""

import asyncio
import contextlib
import gc
import os
import resource
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from runner.simulator.ledger import Ledger
from runner.simulator.memory import Memory
from runner.simulator.parent import Parent
from runner.simulator.provider import Provider
from runner.simulator.scenario import Scenario
from runner.simulator.server import SimulatedServer

_WATCH_S = 0.2
_MOST_DESCRIPTORS = 10_240
"""macOS refuses more, whatever its hard limit says (getrlimit(2), OPEN_MAX)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Everything the command line says."""

    host: str
    port: int
    scenario: Scenario
    seed: int
    ledger: Path | None
    ready_file: Path | None
    parent: int | None
    linger_s: float


def serve(options: Options) -> None:
    """Listen until SIGINT, SIGTERM or the end of the parent.

    Raises:
        LedgerError: the file given as ledger is none.
        OSError: the port or the ledger cannot be had.
    """
    _allow_many_connections()
    memory = Memory()
    if options.ledger:
        memory.recall(options.ledger)
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    ledger = Ledger(options.ledger)
    provider = Provider(options.scenario, options.seed, memory)
    try:
        asyncio.run(_serve(options, provider, ledger))
    finally:
        ledger.close()  # after the last open request was cancelled, and billed


async def _serve(options: Options, provider: Provider, ledger: Ledger) -> None:
    server = SimulatedServer(provider, ledger, options.host, options.port)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    await server.open()
    _announce(server, options.ready_file)
    try:
        await _until_ended(server, ended, options)
    finally:
        server.close()


def _announce(server: SimulatedServer, ready_file: Path | None) -> None:
    if ready_file:
        unready = ready_file.with_name(f"{ready_file.name}.new")
        unready.write_text(f"{server.base_url}\n{server.control_url}\n")
        unready.replace(ready_file)
    sys.stdout.write(f"simulator listening on {server.base_url}\n")
    sys.stdout.flush()


async def _until_ended(
    server: SimulatedServer, ended: asyncio.Event, options: Options
) -> None:
    if options.parent is None:
        await ended.wait()
        return
    parent = Parent(options.parent)
    try:
        while not _is_abandoned(parent, server, options.linger_s):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), _WATCH_S)
                return
    finally:
        parent.close()


def _is_abandoned(parent: Parent, server: SimulatedServer, linger_s: float) -> bool:
    """Nobody started anything new for so long, nor waits for an answer."""
    gone_for_s = parent.gone_for_s
    return gone_for_s is not None and min(gone_for_s, server.idle_s) >= linger_s


def _allow_many_connections() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    possible = hard if hard != resource.RLIM_INFINITY else _MOST_DESCRIPTORS
    wanted = max(soft, min(possible, _MOST_DESCRIPTORS))
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def without_stdin() -> None:
    """Let go of the pipe the settings came through."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
