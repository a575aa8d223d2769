"""Who runs the workers? Engines by name, imported only when asked for.

    local     as processes of this machine     inline   as threads of this process
    framing   messages on a pipe               spawned  is this one of them

Floor: the run. Knows protocols, and what a worker does.
"""

import importlib

from runner.errors import UsageError
from runner.protocols import Engine

_ENGINES = {
    "local": "runner.engines.local",
    "inline": "runner.engines.inline",
}


def load(name: str) -> Engine:
    """The engine of that name; UsageError if there is none.

    Imported late: `status` and `--help` need no engine.
    """
    if name not in _ENGINES:
        raise UsageError(f"no engine {name!r}", f"one of {', '.join(_ENGINES)}")
    engine: Engine = importlib.import_module(_ENGINES[name]).create()
    return engine
