"""Many questions, one server, one night: every answer recorded, none paid twice.

import runner

if __name__ == "__main__":
runner.run("items.jsonl", prompt="Summarise: {{text}}", model="gpt-4o-mini")
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runner.api import Run as Run
    from runner.api import run as run
    from runner.config import RunConfig as RunConfig

_HOMES = {"Run": "runner.api", "run": "runner.api", "RunConfig": "runner.config"}
__all__ = ["Run", "RunConfig", "run"]


def __getattr__(name: str) -> Any:
    """Import on first use: workers and the simulator pass here and need none."""
    if name not in _HOMES:
        raise AttributeError(f"module 'runner' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
