"""Calling the user's functions, whatever they do.

Owns arity, the words for an exception, and the one place where a user's
SystemExit ends.

Floor: doors and rules.
"""

import inspect
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.errors import TaskError
from runner.money import users_own
from runner.task.patience import Patience, StillRunning
from runner.task.plainjson import one_line, type_name

_POSITIONAL = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFunction:
    """A function of a task file; called from many threads at once."""

    name: str
    path: Path
    call: Callable[..., Any]
    takes_item: bool = False
    """Whether it wants `(response, item)` rather than `(response)`."""
    patience: Patience | None = None
    """None: whoever asks waits for ever."""

    def __call__(self, *arguments: Any) -> Any:
        """What the function returns.

        Raises:
            TaskError: with the exception and the task file's line, for
                anything it raises, SystemExit included; and when it does not
                return in time.
            KeyboardInterrupt: only for a Ctrl-C of the person at the terminal.
        """
        try:
            if self.patience is None:
                with users_own():
                    return self.call(*arguments)
            return self.patience.call(self.call, arguments)
        except StillRunning as error:
            assert self.patience
            raise TaskError(
                f"{self.name} has not returned for {self.patience.limit_s:.0f} s"
                f" ({_place(self.call, self.path)})"
            ) from error
        except BaseException as error:  # a user's sys.exit() must not end a worker
            if is_ctrl_c(error):
                raise
            reason = f"{self.name} raised {raised(error, self.path)}"
            raise TaskError(reason) from error


def user_function(
    name: str,
    found: Any,
    path: Path,
    *,
    may_take_item: bool = False,
    patience: Patience | None = None,
) -> UserFunction:
    """The function under its contract.

    Raises:
        TaskError: not callable, async, or with parameters that do not fit.
    """
    place = _place(found, path)
    if not callable(found):
        raise TaskError(f"{path.name}: {name} is {type_name(found)}, not a function")
    if inspect.iscoroutinefunction(found) or inspect.isasyncgenfunction(found):
        raise TaskError(
            f"{place}: {name} is async, which is not supported",
            "write it as a plain def: it is called from many threads anyway",
        )
    required, accepted = _arity(found, name, place)
    takes_item = may_take_item and _takes_item(found, name, place, required)
    if not required <= 1 + takes_item <= accepted:
        forms = "(response) or (response, item)" if may_take_item else "(item)"
        raise TaskError(
            f"{place}: {name} must take {forms}, not {_signature(found)}",
        )
    return UserFunction(
        name=name, path=path, call=found, takes_item=takes_item, patience=patience
    )


def is_ctrl_c(error: BaseException) -> bool:
    """A KeyboardInterrupt that Python's own handler made, in the main thread.

    Workers ignore SIGINT and call from other threads: there it is user code.
    """
    return (
        isinstance(error, KeyboardInterrupt)
        and threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )


def raised(error: BaseException, path: Path) -> str:
    """`KeyError: 'x' (task.py:12)`: what was raised and where in the file."""
    line = line_in(error, path)
    place = f"{path.name}:{line}" if line else path.name
    return f"{described(error)} ({place})"


def described(error: BaseException) -> str:
    """`KeyError: 'x'` in one line, even when its own words fail."""
    try:
        text = one_line(str(error))
    except Exception:  # noqa: BLE001 - a user's __str__ may raise anything
        text = "(its text cannot be shown)"
    kind = type(error).__name__
    return f"{kind}: {text}" if text else kind


def line_in(error: BaseException, path: Path) -> int | None:
    """The innermost line of the traceback that is in the file."""
    line, step = None, error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == str(path):
            line = step.tb_lineno
        step = step.tb_next
    return line


def _place(found: Any, path: Path) -> str:
    code = getattr(found, "__code__", None)
    if code is None or code.co_filename != str(path):
        return path.name
    return f"{path.name}:{code.co_firstlineno}"


def _arity(found: Any, name: str, place: str) -> tuple[int, int]:
    """How many arguments are required, and how many accepted."""
    parameters = _parameters(found, name, place)
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        raise TaskError(
            f"{place}: {name} takes {_signature(found)}: how many it wants is unknown",
            "name its parameters; on a decorator use functools.wraps",
        )
    positional = [p for p in parameters if p.kind in _POSITIONAL]
    keywords = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
    if any(p.default is p.empty for p in keywords):
        raise TaskError(f"{place}: {name} has keyword-only parameters without default")
    required = sum(p.default is p.empty for p in positional)
    return required, len(positional)


def _takes_item(found: Any, name: str, place: str, required: int) -> bool:
    """Two required parameters, or a second one that is called `item`."""
    named = [p.name for p in _parameters(found, name, place) if p.kind in _POSITIONAL]
    if len(named) > 1 and named[0] == "item":
        raise TaskError(
            f"{place}: {name} takes {_signature(found)}: the response comes first",
            f"write def {name}(response, item)",
        )
    return required == 2 or (len(named) > 1 and named[1] == "item")  # noqa: PLR2004 - (response, item)


def _parameters(found: Any, name: str, place: str) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(found).parameters.values())
    except (TypeError, ValueError) as error:
        raise TaskError(
            f"{place}: the parameters of {name} cannot be read",
            f"wrap it: def {name}(...): return ...",
        ) from error


def _signature(found: Any) -> str:
    return one_line(str(inspect.signature(found)), 80)
