"""How does every command begin and end? Errors as one line, then an exit code.

A mistake of the user's is never a traceback; a bug of ours always is, without the
key.

Floor: faces.
"""

import contextlib
import errno
import os
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

import typer

from runner.cli.app import app
from runner.cli.guarding import is_bug
from runner.errors import RunnerError
from runner.exit_codes import BUG, STATE, STOPPED, USAGE
from runner.printable import printable, printable_lines
from runner.redaction import Redactor

_REPORT = "this is a bug of runner's: please report it, with the lines above"


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments say; the exit code."""
    try:
        # Not the app itself: it would install an exception hook of its own.
        command = typer.main.get_command(app)
        code = command.main(
            sys.argv[1:] if arguments is None else list(arguments),
            prog_name="runner",
            standalone_mode=False,
        )
    except RunnerError as error:
        return _fail(error)
    except typer.TyperException as error:
        return _refuse(error)
    except OSError as error:
        return _report(traceback.format_exc()) if is_bug(error) else _deny(error)
    except Exception:  # noqa: BLE001 - a bug ends here, in words that help us mend it
        return _report(traceback.format_exc())
    finally:
        for stream in (sys.stdout, sys.stderr):
            _let_go(stream)
    return code if isinstance(code, int) else 0


def _fail(error: RunnerError) -> int:
    if error.exit_code == BUG:
        return _report("".join(traceback.format_exception(error)))
    message = printable_lines(error.message).rstrip()
    if "\n" in message:
        # A difference is shown over several lines; what to do stands below it.
        _say(f"runner: {message}\n{printable(error.hint or '')}")
    else:
        _say(f"runner: {printable(error)}")
    return error.exit_code


def _deny(error: OSError) -> int:
    if error.filename is None:
        _say(f"runner: the output cannot be written: {error.strerror}")
        return STOPPED
    where = printable(os.fsdecode(error.filename))
    if error.errno == errno.EROFS:
        from runner.durable import read_only  # noqa: PLC0415 - `--help` is in haste

        return _fail(read_only(where))
    _say(
        f"runner: {where}: {error.strerror}: use the account that started the run,"
        " or another --state-dir"
    )
    return STATE


def _refuse(error: typer.TyperException) -> int:
    """What typer says of the arguments, in one line."""
    context: Any = getattr(error, "ctx", None)
    command = context.command_path if context else "runner"
    message = printable(error.format_message()).rstrip(".")
    # What is meant, said alike for options and commands.
    message = re.sub(r" \(Possible options: (.*)\)$", r", did you mean \1?", message)
    message = message.replace(". Did you mean", ", did you mean")
    see = " See" if message.endswith("?") else ": see"
    _say(f"runner: {message[:1].lower()}{message[1:]}{see} `{command} --help`")
    return USAGE


def _report(trace: str) -> int:
    _say(f"{printable_lines(trace).rstrip()}\nrunner: {_REPORT}")
    return BUG


def _say(text: str) -> None:
    # Keys that nobody told us of: those in the environment, and what looks like one.
    for name, value in os.environ.items():
        if name.upper().endswith(("_API_KEY", "_TOKEN", "_SECRET")):
            text = Redactor(value).text(text)
    with _silently():
        print(Redactor().lines(text), file=sys.stderr, flush=True)  # noqa: T201 - the face


@contextlib.contextmanager
def _silently() -> Iterator[None]:
    """A terminal or pipe that is gone is told nothing, and changes nothing."""
    with contextlib.suppress(OSError, ValueError):
        yield


def _let_go(stream: TextIO | None) -> None:
    """Flush now: Python does it at exit, and turns a closed pipe into code 120."""
    try:
        if stream is not None:
            stream.flush()
    except (OSError, ValueError):
        with _silently():
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno() if stream else 1)
            os.close(nowhere)
