"""Which key does a session use, and who is asked for it?

Floor: faces. Knows keys.
"""

import getpass
import os
import sys
from collections.abc import Callable
from pathlib import Path

from runner.cli.asking_options import TheKey
from runner.config import Service
from runner.errors import UsageError
from runner.keys import SIMULATED_KEY, resolve_key


def key_for(service: Service, told: TheKey | None = None) -> str:
    """The key, from where the options say, else from where the run says."""
    if service.scenario is not None:
        return SIMULATED_KEY
    env_name, path = _place(service, told)
    return resolve_key(env_name, path, _asker(env_name))


def key_source(service: Service, told: TheKey | None = None) -> str:
    """Where that key came from, and how another is named; empty when simulated."""
    if service.scenario is not None:
        return ""
    env_name, path = _place(service, told)
    if path is not None:
        return f"it was read from {path} (--api-key-file)"
    where = f"the variable {env_name}" if os.environ.get(env_name) else "the terminal"
    return f"it came from {where}; --api-key-env and --api-key-file name other places"


def _place(service: Service, told: TheKey | None) -> tuple[str, Path | None]:
    """The variable to look in, and the file that goes before it."""
    if told and (told.api_key_env or told.api_key_path):
        return told.api_key_env or service.api_key_env, told.api_key_path
    return service.api_key_env, service.api_key_path


def _asker(env_name: str) -> Callable[[], str] | None:
    """How to ask, where somebody sits at a terminal."""
    if sys.stdin is None or not sys.stdin.isatty():
        return None

    def ask() -> str:
        try:
            return getpass.getpass(f"API key ({env_name} is not set; not shown): ")
        except (EOFError, KeyboardInterrupt):
            raise UsageError("no API key was typed", "nothing was sent") from None

    return ask
