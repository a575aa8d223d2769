"""The user's Python file: loading it, and what is in it.

Owns the import of one file by its path. The file's folder stands on `sys.path`
while the file itself runs, so `import prompts` at its top finds a neighbour;
an import inside a function comes later and does not.

Floor: doors and rules.
"""

import difflib
import hashlib
import importlib.util
import re
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType

from runner.errors import TaskError
from runner.money import users_own
from runner.task.patience import Patience
from runner.task.plainjson import one_line
from runner.task.usercode import (
    UserFunction,
    is_ctrl_c,
    raised,
    user_function,
)

_EXAMPLE = "def get_prompt(item): return f\"Summarise: {item['text']}\""
_NEAR = 0.8
"""A name closer than this to `is_response_valid` is a slip of the pen: difflib
gives `is_reponse_valid` 0.97, `isResponseValid` 0.81, `is_response_long` 0.79."""
_loading = threading.RLock()
"""sys.path belongs to the whole process; a task file may load another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFile:
    """The functions of one task file."""

    path: Path
    get_prompt: UserFunction
    is_response_valid: UserFunction | None
    get_params: UserFunction | None
    get_result: UserFunction | None


def load_task_file(path: Path, patience: Patience | None = None) -> TaskFile:
    """Run the file and take its functions, which `patience` waits for.

    Raises:
        TaskError: for everything that is wrong with it, with file and line.
    """
    path = path.absolute()
    module = _run(path, read_source(path))
    _check_slips(module, path)

    def found(name: str, *, may_take_item: bool = False) -> UserFunction | None:
        value = getattr(module, name, None)
        if value is None:
            return None
        return user_function(
            name, value, path, may_take_item=may_take_item, patience=patience
        )

    get_prompt = found("get_prompt")
    if get_prompt is None:
        raise TaskError(f"{path.name} has no get_prompt", f"write {_EXAMPLE}")
    return TaskFile(
        path=path,
        get_prompt=get_prompt,
        is_response_valid=found("is_response_valid", may_take_item=True),
        get_params=found("get_params"),
        get_result=found("get_result", may_take_item=True),
    )


def read_source(path: Path) -> str:
    """The file's text, in the encoding it declares, line ends made alike.

    Raises:
        TaskError: when there is no such file, or it is not text.
    """
    try:
        return importlib.util.decode_source(path.read_bytes())
    except OSError as error:
        raise TaskError(f"task file {path}: {error.strerror or error}") from error
    except (SyntaxError, UnicodeDecodeError, LookupError) as error:
        raise TaskError(
            f"task file {path}: not text: {error}", "save the file as UTF-8"
        ) from error


def _run(path: Path, source: str) -> ModuleType:
    code = _compiled(path, source)
    module = ModuleType(_module_name(path))
    module.__file__ = str(path)
    with _loading:
        # dataclasses and pickle look their module up by its name
        sys.modules[module.__name__] = module
        try:
            _execute(code, module, path)
        except BaseException:
            sys.modules.pop(module.__name__, None)
            raise
    return module


def _compiled(path: Path, source: str) -> CodeType:
    """Compiled here, not by the import system.

    Its cached bytecode does not notice an edit of the same size within the same
    second.
    """
    try:
        return compile(source, str(path), "exec", dont_inherit=True)
    except SyntaxError as error:
        shown = f": {one_line(error.text, 80)}" if error.text else ""
        raise TaskError(f"{path.name}:{error.lineno}: {error.msg}{shown}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise TaskError(f"{path.name}: cannot be compiled: {error}") from error


def _execute(code: CodeType, module: ModuleType, path: Path) -> None:
    folder = str(path.parent)
    sys.path.insert(0, folder)
    try:
        with users_own():
            exec(code, module.__dict__)  # noqa: S102 - running the user's file is the point
    except BaseException as error:  # a sys.exit() at its top must not end a worker
        if is_ctrl_c(error):
            raise
        is_missing = isinstance(error, ImportError)
        raise TaskError(
            f"importing it raised {raised(error, path)}",
            "install it where runner is installed" if is_missing else None,
        ) from error
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


def _module_name(path: Path) -> str:
    """Unique to the path, so that no import can meet it by accident."""
    stem = re.sub(r"\W", "_", path.stem)
    digest = hashlib.blake2b(str(path).encode(errors="surrogateescape"), digest_size=6)
    return f"_runner_task_{stem}_{digest.hexdigest()}"


def _check_slips(module: ModuleType, path: Path) -> None:
    """A validity rule under a mistyped name would silently never be asked."""
    if hasattr(module, "is_response_valid"):
        return
    own = [
        name
        for name, value in vars(module).items()
        if getattr(value, "__module__", None) == module.__name__ and callable(value)
    ]
    for name in own:
        if _is_slip(name):
            code = getattr(getattr(module, name), "__code__", None)
            place = f"{path.name}:{code.co_firstlineno}" if code else path.name
            raise TaskError(
                f"{place}: {name} is never called",
                "name it is_response_valid, or begin its name with an underscore",
            )


def _is_slip(name: str) -> bool:
    if name.startswith("_"):
        return False
    is_shuffled = sorted(name.split("_")) == ["is", "response", "valid"]
    likeness = difflib.SequenceMatcher(None, "is_response_valid", name).ratio()
    return is_shuffled or likeness >= _NEAR
