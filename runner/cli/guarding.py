"""What is a bug, and how does it stay readable and the key out of it?

Floor: faces.
"""

import contextlib
import errno
import traceback
from collections.abc import Iterator

from runner.errors import RunnerError
from runner.exit_codes import BUG
from runner.redaction import Redactor

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
            raise Bug(Redactor(key).lines(error.message)) from None
        raise
    except Exception as error:
        if isinstance(error, OSError) and not is_bug(error):
            raise
        # Whatever it is, it may hold the key.
        raise Bug(Redactor(key).lines(traceback.format_exc())) from None


def is_bug(error: OSError) -> bool:
    """Whether it says something about us, not about a file or the output."""
    is_denied = error.errno in _DENIED and error.filename is not None
    return not (is_denied or (error.errno == errno.ENOSPC and error.filename is None))
