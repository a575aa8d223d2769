"""`runner show RUN line:N`: where there is no item, it says where items are."""

import pytest
from session_stage import Stage

from runner.api import Run
from runner.errors import UsageError


@pytest.fixture
def shown(stage: Stage) -> Stage:
    """Items in lines 1, 2 and 4; line 3 is blank."""
    stage.write_items("a", "b", "c")
    lines = stage.items_path.read_text().splitlines()
    stage.items_path.write_text("\n".join([*lines[:2], "", lines[2], ""]))
    Run.start(stage.config(), state_dir=stage.state_dir)
    return stage


@pytest.mark.parametrize(("line", "item"), [(1, "a"), (2, "b"), (4, "c")])
def test_the_line_of_an_item_finds_it(shown: Stage, line: int, item: str) -> None:
    assert shown.run.show(f"line:{line}").item_id == item


@pytest.mark.parametrize("line", ["9999", "5", "9" * 5_000])
def test_a_line_beyond_the_file_is_told_where_the_last_item_stands(
    shown: Stage, line: str
) -> None:
    with pytest.raises(UsageError) as refused:
        shown.run.show(f"line:{line}")
    told = "the last of its 3 items stands in line 4 of items.jsonl"
    assert refused.value.hint == told


@pytest.mark.parametrize("line", [0, 3])
def test_a_line_without_an_item_is_said_to_be_none(shown: Stage, line: int) -> None:
    with pytest.raises(UsageError, match=f"line {line} of items.jsonl is no item"):
        shown.run.show(f"line:{line}")


def test_an_id_that_no_item_has_is_told_how_to_name_one(shown: Stage) -> None:
    with pytest.raises(UsageError, match="give its id, or line:N"):
        shown.run.show("nobody")
