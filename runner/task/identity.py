"""What makes this task this task: the text of all the user gave.

Owns the names under which a difference is shown when a run is resumed with
something else. Covers a task file and the neighbours it imports; files it
reads and packages it uses are beyond our sight.

Floor: doors and rules.
"""

import ast
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from runner.config import TaskSpec
from runner.task.schema import canonical
from runner.task.spec import completed
from runner.task.taskfile import read_source

_RULES = frozenset({"schema", "valid-regex", "choices", "reask-truncated"})
_TASK_FILE = "task"
_NEIGHBOUR = "task import "


def may_be_a_rule(name: str) -> bool:
    """Whether what stands under that name may say which answers are valid."""
    return name in _RULES or name == _TASK_FILE or name.startswith(_NEIGHBOUR)


def identity(spec: TaskSpec) -> dict[str, str]:
    """Name to full text; in a stable order, only what was given.

    Raises:
        TaskError: when the task file, the prompt file or the schema cannot be
            read.
    """
    return dict(_parts(completed(spec)))


def identity_digest(spec: TaskSpec) -> str:
    """A short text that differs as soon as anything of the task does."""
    text = json.dumps(identity(spec), sort_keys=True).encode("ascii")
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def _parts(spec: TaskSpec) -> Iterator[tuple[str, str]]:
    if spec.batch:
        yield "requests", "from the items"
    else:
        yield "endpoint", str(spec.endpoint)
    yield from _given("model", spec.model)
    yield from _given("prompt", spec.prompt)
    yield from _given("system", spec.system)
    if spec.task_path is not None:
        yield from _sources(spec.task_path)
    for name in sorted(spec.params):
        yield f"param {name}", _json(spec.params[name])
    if spec.schema is not None:
        yield "schema", canonical(spec.schema)
    yield from _given("valid-regex", spec.valid_regex)
    if spec.choices:
        yield "choices", _json([choice.strip() for choice in spec.choices])
    if spec.reask_truncated:
        yield "reask-truncated", "yes"


def _given(name: str, text: str | None) -> Iterator[tuple[str, str]]:
    if text is not None:
        yield name, text


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _sources(path: Path) -> Iterator[tuple[str, str]]:
    """The task file, then the files beside it that it imports, by name."""
    yield _TASK_FILE, read_source(path)
    found = {path.stem: read_source(path)}
    waiting = [path.stem]
    while waiting:
        for name in _imported(found[waiting.pop()]):
            neighbour = path.with_name(f"{name}.py")
            if name not in found and neighbour.is_file():
                found[name] = read_source(neighbour)
                waiting.append(name)
    for name in sorted(found.keys() - {path.stem}):
        yield f"{_NEIGHBOUR}{name}.py", found[name]


def _imported(source: str) -> set[str]:
    """First names of what a source imports; a broken one imports nothing."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return set()  # loading the task reports it with its line
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names
