"""The rules in force, as a start, a resume and a rejudgement name them."""

from pathlib import Path

import pytest

from runner.config import TaskSpec
from runner.task import rules_in_force


@pytest.mark.parametrize(
    ("source", "is_named"),
    [
        ("def is_response_valid(text): return True", True),
        ("from mine import is_response_valid", True),
        ("from mine import check as is_response_valid", True),
        ("is_response_valid = str.isalpha", True),
        ("# there is no is_response_valid here", False),
        ("def get_prompt(item): return 'is_response_valid'", False),
        ("def is_response_valid(:", False),
    ],
)
def test_a_function_of_a_task_file_is_named_where_there_is_one(
    tmp_path: Path, source: str, is_named: bool
) -> None:
    """By the file's text alone: none of it is run."""
    path = tmp_path / "task.py"
    path.write_text(source)
    named = rules_in_force(TaskSpec(task_path=path, model="m"))
    assert (named == ("is_response_valid of task.py",)) == is_named
    assert bool(named) == is_named
