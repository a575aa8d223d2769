"""Which rules of the user's are in force, as a person would name them?

Reads the task file's text at most and runs none of it.

Floor: doors and rules.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from runner.config import TaskSpec
from runner.errors import TaskError
from runner.task.taskfile import read_source

_FUNCTION = "is_response_valid"


def rules_in_force(spec: TaskSpec) -> tuple[str, ...]:
    """In the order in which they judge; empty: only the default verdict does."""
    return tuple(_named(spec))


def _named(spec: TaskSpec) -> Iterator[str]:
    if spec.reask_truncated:
        yield "cut off is asked again"
    if spec.schema_path is not None:
        yield f"schema {spec.schema_path.name}"
    elif spec.schema is not None:
        yield "a schema"
    if spec.choices:
        yield f"choices {'|'.join(choice.strip() for choice in spec.choices)}"
    if spec.valid_regex is not None:
        yield f"pattern {spec.valid_regex}"
    if spec.task_path is not None and _has_function(spec.task_path):
        yield f"{_FUNCTION} of {spec.task_path.name}"


def _has_function(path: Path) -> bool:
    try:
        parsed = ast.parse(read_source(path))
    except (TaskError, SyntaxError, ValueError):
        return False  # whoever loads it says why
    return _FUNCTION in {name for node in parsed.body for name in _defined_by(node)}


def _defined_by(node: ast.stmt) -> Iterator[str]:
    """Names that a statement at the top of a file defines."""
    match node:
        case ast.FunctionDef(name=name):
            yield name
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            yield from (each.asname or each.name for each in names)
        case ast.Assign(targets=targets):
            yield from (each.id for each in targets if isinstance(each, ast.Name))
