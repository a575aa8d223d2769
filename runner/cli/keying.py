"""Which key does a session use, and who is asked for it?

Floor: cli. Knows keys.
"""

import getpass
import sys
from collections.abc import Callable

from runner.cli.asking_options import TheKey
from runner.config import Service
from runner.errors import UsageError
from runner.keys import SIMULATED_KEY, resolve_key


def key_for(service: Service, told: TheKey | None = None) -> str:
    """The key, from where the options say, else from where the run says."""
    if service.scenario is not None:
        return SIMULATED_KEY
    env_name, path = service.api_key_env, service.api_key_path
    if told and (told.api_key_env or told.api_key_path):
        env_name = told.api_key_env or env_name
        path = told.api_key_path
    return resolve_key(env_name, path, _asker(env_name))


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
