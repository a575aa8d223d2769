"""Where does the API key come from?

A file, an environment variable, or a question on the terminal; never an option's
value, which every user of the machine can read in the list of processes.

Floor: rules for the work. Knows errors and redaction.
"""

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

from runner.errors import UsageError
from runner.redaction import is_secret

SIMULATED_KEY = "simulated"
"""What the embedded simulator is sent: it takes any key."""
NO_KEY_NEEDED = "no-key-needed"
"""Instead of one, for a session that will send nothing."""

_MOST_BYTES = 1 << 16
_SENDABLE = re.compile("[!-~]+")
"""What an HTTP header can carry unchanged: visible ASCII."""


def resolve_key(env_name: str, path: Path | None, ask: Callable[[], str] | None) -> str:
    """The key: from the file if one is named, else the variable, else asked for.

    Args:
        env_name: the environment variable to look in.
        path: a file that holds nothing but the key, readable by its owner only.
        ask: asks the person at the terminal; None: there is none.

    Raises:
        UsageError: there is no key, or none that a header could carry.
    """
    if path is not None:
        return checked_key(_read(path), str(path))
    if os.environ.get(env_name):
        return checked_key(os.environ[env_name], env_name)
    if ask is not None:
        return checked_key(ask(), "what was typed")
    raise UsageError(
        f"no API key: {env_name} is not set",
        f"export {env_name}=..., name another variable with --api-key-env NAME or a"
        " file with --api-key-file F, or start on a terminal to be asked"
        " (--simulate needs none)",
    )


def checked_key(key: str, source: str) -> str:
    """The key without spaces around it.

    Raises:
        UsageError: it is empty, or holds what no header can carry; the message
            names `source` and never shows the key.
    """
    key = key.strip()
    if not key:
        raise UsageError(f"the API key is empty ({source})", "put the key there")
    if not _SENDABLE.fullmatch(key):
        raise UsageError(
            f"the API key holds spaces, control or non-ASCII characters ({source})",
            "only the key itself belongs there, in one line",
        )
    if key[0] == key[-1] and key[0] in "\"'`":
        raise UsageError(
            f"the API key stands in quotes ({source})", "leave the quotes out"
        )
    return key


def check_apart(key: str, base_url: str) -> None:
    """UsageError where the base URL holds the key: it is stored, and shown.

    A key of a few letters ("x", "EMPTY") is no secret, and may stand there by chance.
    """
    if is_secret(key) and key in unquote(base_url):
        raise UsageError(
            "the base URL holds the API key",
            "give the key in OPENAI_API_KEY, or with --api-key-file",
        )


def _read(path: Path) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            _check_private(os.fstat(descriptor).st_mode, path)
            content = stream.read(_MOST_BYTES)
    except OSError as error:
        raise UsageError(
            f"--api-key-file {path}: {error.strerror or error}",
            "it must be a file with nothing but the key",
        ) from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"--api-key-file {path}: not a text file") from error


def _check_private(mode: int, path: Path) -> None:
    """Refuse a file others can read; a pipe, as in `<(pass show key)`, is nobody's."""
    if stat.S_ISREG(mode) and mode & 0o077:
        raise UsageError(
            f"--api-key-file {path}: other users of this machine can read it"
            f" (mode {stat.S_IMODE(mode):04o})",
            f"chmod 600 {path}",
        )
