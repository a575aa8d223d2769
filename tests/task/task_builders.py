"""Items, answers and tasks for the tests of this folder."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from runner.config import TaskSpec
from runner.errors import TaskError
from runner.records import Answer, Item, ItemRef, JsonObject
from runner.task import Task, load_task

ITEMS = Path("items.jsonl")
LINE = 17
T = TypeVar("T")


def item(fields: JsonObject, item_id: str = "a-1") -> Item:
    """The item on line 17."""
    raw = json.dumps(fields).encode()
    ref = ItemRef(
        row=0,
        number=1,
        line=LINE,
        offset=0,
        length=len(raw),
        id_digest=b"i" * 16,
        fingerprint=b"f" * 16,
    )
    return Item(ref=ref, item_id=item_id, fields=fields, raw=raw)


ITEM = item({"title": "Boat", "body": "It floats."})


def answer(
    response: Any,
    *,
    finish_reason: str | None = "stop",
    refusal: str | None = None,
    status: str | None = None,
) -> Answer:
    """An answer with nothing in it but what a verdict looks at."""
    return Answer(
        response=response,
        finish_reason=finish_reason,
        refusal=refusal,
        model="gpt-x",
        usage=None,
        body={"status": status} if status else {},
    )


def task(**given: Any) -> Task:
    """A task asking gpt-x with a prompt, unless something else is given."""
    spec = {"prompt": "Say {{title}}", "model": "gpt-x", **given}
    if spec.get("task_path"):
        spec["prompt"] = None
    return load_task(TaskSpec(**spec), ITEMS)


def file_task(folder: Path, source: str, **given: Any) -> Task:
    """A task whose file has this source."""
    return task(task_path=task_file(folder, source), **given)


def task_file(folder: Path, source: str, name: str = "mine.py") -> Path:
    """Write a task file."""
    path = folder / name
    path.write_text(source, encoding="utf-8")
    return path


def refusal_of(call: Callable[..., Any], *arguments: Any, **named: Any) -> str:
    """What the TaskError of a call says, its hint included."""
    with pytest.raises(TaskError) as caught:
        call(*arguments, **named)
    return str(caught.value)


def in_a_thread(call: Callable[[], T]) -> T:
    """The result of a call made as a worker makes it: off the main thread."""
    results: list[T] = []
    thread = threading.Thread(target=lambda: results.append(call()))
    thread.start()
    thread.join()
    return results[0]
