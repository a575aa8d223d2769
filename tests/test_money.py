"""Dollars are added up exactly, whatever a task file does to the decimal module."""

import decimal
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from runner.config import TaskSpec
from runner.money import count_exactly
from runner.records import Item, ItemRef
from runner.task import load_task

CENTS = Decimal("100.0001")
ITEM = Item(
    ref=ItemRef(
        row=0, number=0, line=1, offset=0, length=2, id_digest=b"", fingerprint=b""
    ),
    item_id=0,
    fields={},
    raw=b"{}",
)


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Other tests have Python's own contexts."""
    precision = decimal.DefaultContext.prec
    with decimal.localcontext():
        yield
    decimal.DefaultContext.prec = precision


def test_a_task_file_sets_its_precision_and_not_ours(tmp_path: Path) -> None:
    """At its top, and in a function that is called in our thread."""
    path = tmp_path / "mine.py"
    path.write_text(
        "import decimal\n"
        "decimal.DefaultContext.prec = 2\n"
        "decimal.setcontext(decimal.DefaultContext)\n"
        "def get_prompt(item):\n"
        "    decimal.getcontext().prec = 3\n"
        "    return 'x'\n"
    )
    task = load_task(TaskSpec(task_path=path, model="m"))
    assert CENTS * 2 == Decimal("200.0002")
    task.request_for(ITEM)
    assert CENTS * 2 == Decimal("200.0002")


def test_a_thread_of_ours_counts_exactly_whatever_new_threads_get() -> None:
    decimal.DefaultContext.prec = 2
    sums: list[Decimal] = []

    def add() -> None:
        sums.append(CENTS + CENTS)
        count_exactly()
        sums.append(CENTS + CENTS)

    thread = threading.Thread(target=add)
    thread.start()
    thread.join()
    assert [Decimal("2.0E+2"), Decimal("200.0002")] == sums
