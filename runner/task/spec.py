"""Is what the user gave complete and free of contradictions?

Owns the rules between the options of a task, and reading prompt and schema
files. Knows nothing of items.

Floor: doors and rules.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

from runner.config import TaskSpec
from runner.errors import TaskError
from runner.records import Endpoint, JsonObject
from runner.task.plainjson import NotJson, parsed, utf8


def completed(spec: TaskSpec) -> TaskSpec:
    """The same spec with prompt and schema read where only a path was given."""
    if spec.prompt is None and spec.prompt_path is not None:
        spec = dataclasses.replace(spec, prompt=read_prompt(spec.prompt_path))
    if spec.schema is None and spec.schema_path is not None:
        spec = dataclasses.replace(spec, schema=read_schema(spec.schema_path))
    return spec


def check_spec(spec: TaskSpec) -> None:
    """Refuse contradictions between options.

    Raises:
        TaskError: with the option to change as its hint.
    """
    if spec.batch:
        _check_batch(spec)
        return
    _check_question(spec)
    _check_endpoint(spec)
    if not (spec.model or "").strip():
        raise TaskError("no model is named", "say which one with --model")


def read_text(path: Path, what: str) -> str:
    """A whole text file, without its byte order mark.

    Raises:
        TaskError: when it cannot be read or is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise TaskError(f"{what} {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise TaskError(
            f"{what} {path}: byte {error.start} is not UTF-8", "save the file as UTF-8"
        ) from error


def read_prompt(path: Path) -> str:
    """The prompt in a file; one line end at the file's end is not part of it."""
    text = read_text(path, "prompt file").replace("\r\n", "\n")
    return text.removesuffix("\n")


def read_schema(path: Path) -> JsonObject:
    """The JSON schema in a file.

    Raises:
        TaskError: naming the line where the JSON breaks.
    """
    text = read_text(path, "schema")
    try:
        schema = parsed(text)
    except json.JSONDecodeError as error:
        place = f"{path}:{error.lineno}:{error.colno}"
        raise TaskError(f"{place}: not JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise TaskError(f"schema {path}: not JSON: {error}") from error
    return schema_object(schema, path)


def schema_object(schema: Any, path: Path | None) -> JsonObject:
    """The schema, if it is an object."""
    if isinstance(schema, dict):
        return schema
    where = f"schema {path}" if path else "the schema"
    raise TaskError(
        f"{where} is a JSON {type(schema).__name__}, not an object",
        'a schema starts with {"type": "object", ...}',
    )


def _check_batch(spec: TaskSpec) -> None:
    given = {
        "--prompt": spec.prompt is not None,
        "--task": spec.task_path is not None,
        "--system": spec.system is not None,
        "--model": spec.model is not None,
        "--param": bool(spec.params),
    }
    wrong = [option for option, is_given in given.items() if is_given]
    if wrong:
        raise TaskError(
            f"the items are Batch API lines, which carry their own requests:"
            f" {', '.join(wrong)} would have no effect",
            "leave it out, or give items that are not Batch API lines",
        )


def _check_question(spec: TaskSpec) -> None:
    if spec.prompt is not None and spec.task_path is not None:
        raise TaskError(
            "both a prompt and a task file were given",
            "keep one of --prompt (or --prompt-file) and --task",
        )
    if spec.prompt is None and spec.task_path is None:
        raise TaskError(
            "nothing says what to ask",
            "give --prompt 'Summarise: {{text}}', --prompt-file or --task FILE.py",
        )
    for option, text in (("prompt", spec.prompt), ("system text", spec.system)):
        _check_text(option, text)
    _check_text("model", spec.model)


def _check_text(what: str, text: str | None) -> None:
    try:
        utf8(text or "")
    except NotJson as error:
        raise TaskError(f"the {what} is not valid text: {error}") from error


def _check_endpoint(spec: TaskSpec) -> None:
    if spec.endpoint is Endpoint.OTHER:
        raise TaskError(
            "only Batch API lines can ask another endpoint",
            "use --endpoint chat, responses or embeddings",
        )
    if spec.endpoint is not Endpoint.EMBEDDINGS:
        return
    for option, is_given in (
        ("--system", spec.system is not None),
        ("--schema", spec.schema is not None),
        ("--choices", bool(spec.choices)),
        ("--valid-regex", spec.valid_regex is not None),
    ):
        if is_given:
            raise TaskError(
                f"embeddings are vectors: {option} has nothing to work on",
                f"leave {option} out",
            )
