"""What is a bug, and how does it stay readable and the key out of it?

Floor: cli.
"""

import contextlib
import errno
import traceback
from collections.abc import Iterator

from runner.errors import RunnerError
from runner.exit_codes import BUG
from runner.keys import redacted

_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


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
    except Exception as error:
        if isinstance(error, OSError) and not is_bug(error):
            raise
        # Whatever it is, it may hold the key.
        raise Bug(redacted(traceback.format_exc(), key)) from None


def is_bug(error: OSError) -> bool:
    """Whether it says something about us, not about a file or the output."""
    is_denied = error.errno in _DENIED and error.filename is not None
    return not (is_denied or (error.errno == errno.ENOSPC and error.filename is None))
