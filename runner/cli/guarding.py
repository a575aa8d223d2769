"""How does a bug stay readable, and the key out of it?

Floor: cli.
"""

import contextlib
import traceback
from collections.abc import Iterator

from runner.errors import RunnerError
from runner.exit_codes import BUG
from runner.keys import redacted


class Bug(RunnerError):
    """A bug of ours met while the key was at hand; the message is a traceback."""


@contextlib.contextmanager
def keeping_secret(key: str) -> Iterator[None]:
    """Let no exception leave with the key in it."""
    try:
        yield
    except RunnerError as error:
        if error.exit_code == BUG:
            raise Bug(redacted(error.message, key)) from None
        raise
    except Exception:  # noqa: BLE001 - whatever it is, it may hold the key
        raise Bug(redacted(traceback.format_exc(), key)) from None
