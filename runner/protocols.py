"""The seams between supervisor, engine and worker.

An engine starts workers in slots, carries JSON orders to them and JSON messages
back, and says when one is gone. Nothing else knows which engine runs.

Floor: seams. Knows config and records.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from runner.config import RunConfig
from runner.records import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """What a worker is told when it is started. The key travels beside it."""

    run_folder: Path
    run_id: str
    slot: int
    threads: int
    """Calls under way at most, ever."""
    allowed: int
    """Calls under way at most, to begin with; orders change it."""
    key_cell: Path
    """The limiter's cell of this key, shared with other runs."""
    config: RunConfig
    task_digest: str
    """Of the task as the session began with it; its files may change since."""


@dataclass(frozen=True, slots=True)
class Said:
    """A worker sent a message."""

    slot: int
    message: JsonObject


@dataclass(frozen=True, slots=True)
class Died:
    """A worker is gone; `why` is for a person."""

    slot: int
    why: str
    is_clean: bool
    """It had said goodbye before."""


Event = Said | Died


class Engine(Protocol):
    """Runs workers in slots."""

    def start(self, settings: WorkerSettings, api_key: str) -> None:
        """Start a worker in `settings.slot`; if that fails, `Died` follows."""
        ...

    def send(self, slot: int, order: JsonObject) -> None:
        """Order something; never blocks, and does nothing if the worker is gone."""
        ...

    def poll(self, timeout_s: float) -> Sequence[Event]:
        """What has happened; waits at most `timeout_s` for the first event."""
        ...

    def kill(self, slot: int) -> None:
        """End a worker that does not listen any more; `Died` follows."""
        ...

    def wake(self, slot: int) -> None:
        """Let a worker go on that somebody stopped; else do nothing."""
        ...

    def close(self) -> None:
        """Release what the engine holds; workers that still live see it."""
        ...


class Channel(Protocol):
    """A worker's end of the line to its supervisor."""

    def receive(self, timeout_s: float) -> list[JsonObject] | None:
        """Orders that have come; None once the supervisor is gone.

        At once the first time, then no more often than every `timeout_s`.
        """
        ...

    def send(self, message: JsonObject) -> None:
        """Send a message; lost without a word if the supervisor is gone."""
        ...
