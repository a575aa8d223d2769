from pathlib import Path
from typing import Any

import pytest
from task_builders import refusal_of, task_file

from runner.config import TaskSpec
from runner.records import Endpoint
from runner.task import identity

FULL: dict[str, Any] = {
    "prompt": "Say {{title}}",
    "system": "Be brief.",
    "model": "gpt-x",
    "params": {"top_p": 1, "max_tokens": 5},
    "schema": {"type": "object", "additionalProperties": False},
    "valid_regex": "x",
    "choices": ("yes", " no"),
}


def test_everything_the_user_gave_is_there_in_full_and_in_order() -> None:
    parts = identity(TaskSpec(**FULL))

    assert list(parts.items()) == [
        ("endpoint", "chat"),
        ("model", "gpt-x"),
        ("prompt", "Say {{title}}"),
        ("system", "Be brief."),
        ("param max_tokens", "5"),
        ("param top_p", "1"),
        (
            "schema",
            '{\n  "additionalProperties": false,\n  "type": "object"\n}',
        ),
        ("valid-regex", "x"),
        ("choices", '["yes", "no"]'),
    ]


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"prompt": "Say {{title}}!"}, "prompt"),
        ({"system": None}, "system"),
        ({"model": "gpt-y"}, "model"),
        ({"endpoint": Endpoint.RESPONSES}, "endpoint"),
        ({"params": {"top_p": 1, "max_tokens": 6}}, "param max_tokens"),
        ({"params": {"top_p": 1}}, "param max_tokens"),
        ({"schema": {"type": "object"}}, "schema"),
        ({"valid_regex": "y"}, "valid-regex"),
        ({"choices": ("no", "yes")}, "choices"),
        ({"reask_truncated": True}, "reask-truncated"),
    ],
)
def test_each_change_shows_under_its_own_name(
    change: dict[str, Any], name: str
) -> None:
    before, after = identity(TaskSpec(**FULL)), identity(TaskSpec(**{**FULL, **change}))

    differing = {
        key for key in before.keys() | after.keys() if before.get(key) != after.get(key)
    }
    assert differing == {name}


def test_the_order_of_keys_in_a_schema_or_of_parameters_is_no_difference() -> None:
    turned = {
        **FULL,
        "schema": {"additionalProperties": False, "type": "object"},
        "params": {"max_tokens": 5, "top_p": 1},
    }

    assert list(identity(TaskSpec(**turned)).items()) == list(
        identity(TaskSpec(**FULL)).items()
    )


def test_a_task_file_counts_with_the_neighbours_it_imports(tmp_path: Path) -> None:
    task_file(tmp_path, "import deeper\nWORD = 1\n", "words.py")
    task_file(tmp_path, "import words\n", "deeper.py")
    task_file(tmp_path, "never = 1\n", "unused.py")
    path = task_file(tmp_path, "import json, words\nfrom deeper import x\n")

    parts = identity(TaskSpec(task_path=path, model="m"))

    assert parts == {
        "endpoint": "chat",
        "model": "m",
        "task": "import json, words\nfrom deeper import x\n",
        "task import deeper.py": "import words\n",
        "task import words.py": "import deeper\nWORD = 1\n",
    }


def test_line_ends_of_a_task_file_are_no_difference(tmp_path: Path) -> None:
    """An editor on another system must not forbid a resume."""
    path = tmp_path / "mine.py"
    path.write_bytes(b"x = 1\r\ny = 2\r\n")

    assert identity(TaskSpec(task_path=path))["task"] == "x = 1\ny = 2\n"


def test_batch_lines_are_their_own_identity() -> None:
    assert identity(TaskSpec(batch=True)) == {"requests": "from the items"}


def test_a_task_file_that_is_gone_is_reported(tmp_path: Path) -> None:
    spec = TaskSpec(task_path=tmp_path / "gone.py")

    assert "gone.py: No such file" in refusal_of(identity, spec)
