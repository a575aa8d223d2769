"""Every answer beside its own item, in the order of the items file."""

import random
from collections.abc import Callable

import pytest
from finalizer_cases import Night, lines_of, numbered, responses, result_of, scanned
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.errors import RunChanged, StateDamaged
from runner.finalizer.lineorder import outcomes_in_line_order
from runner.records import JsonObject, OutcomeState

NightOver = Callable[..., Night]


def test_line_order_holds_whatever_shard_and_time_an_answer_has(
    night_over: NightOver,
) -> None:
    night = night_over(numbered(300), slots=4)
    chance = random.Random(1)
    rows = list(range(300))
    chance.shuffle(rows)
    for row in rows:
        night.record(row, slot=chance.randint(0, 4), result=result_of(row))
    night.export()
    assert [(line["id"], line["llm"]["response"]) for line in ids(night)] == [
        (row, row) for row in range(300)
    ]


def test_a_judgement_made_anew_replaces_the_old_one(night_over: NightOver) -> None:
    """It stands in the supervisor's shard, the old one in a worker's."""
    night = night_over(numbered(3))
    invalid = [night.record(row, OutcomeState.INVALID, slot=2) for row in range(3)]
    night.record(1, slot=0, generation=1, result=b'"anew"', replaced=invalid[1])
    summary = night.export()
    assert [line["llm"] for line in ids(night)][1] == "anew"
    assert (summary.valid, summary.invalid) == (1, 2)
    assert (summary.totals.valid, summary.totals.invalid) == (1, 2)


def test_a_reordered_edited_shortened_file_keeps_each_answer_with_its_item(
    night_over: NightOver,
) -> None:
    """After --accept-changes: moved, edited, new and removed items in one file."""
    night = night_over(numbered(6), slots=3)
    for row in range(6):
        night.record(row, slot=row % 3 + 1, result=result_of(f"of {row}"))
    night.items_path.write_bytes(
        b'{"id": 5}\n{"id": "new"}\n{"id": 0}\n{"id": 3, "edited": 1}\n{"id": 4}\n'
        b'{"id": 1}\n'
    )
    night.rescan()
    assert night.index.in_number_order is False
    night.record(3, slot=2, result=result_of("of 3, edited"))
    summary = night.export()
    assert [(line["id"], line["llm"]["response"]) for line in ids(night)] == [
        (5, "of 5"),
        (0, "of 0"),
        (3, "of 3, edited"),
        (4, "of 4"),
        (1, "of 1"),
    ]
    assert (summary.items, summary.valid, summary.pending) == (6, 5, 1)


def test_removed_items_leave_no_trace_but_their_cost(night_over: NightOver) -> None:
    night = night_over(numbered(5))
    for row in range(5):
        night.answer(row)
    night.items_path.write_bytes(b'{"id": 1}\n{"id": 3}\n')
    night.rescan()
    assert night.index.in_number_order is True
    summary = night.export()
    assert [line["id"] for line in ids(night)] == [1, 3]
    assert (summary.items, summary.valid, summary.pending) == (2, 2, 0)
    assert night.summary["cost_usd"] == "0.005"


def test_an_outcome_taken_back_is_pending(night_over: NightOver) -> None:
    night = night_over(numbered(2))
    first = night.record(0)
    night.record(0, OutcomeState.REMOVED, slot=0, generation=1, replaced=first)
    night.record(1)
    summary = night.export()
    assert [line["id"] for line in ids(night)] == [1]
    assert summary.pending == 1


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(order=st.permutations(range(12)), left=st.integers(1, 12))
def test_any_order_of_items_is_served(order: list[int], left: int, many: Night) -> None:
    """Scan and look-ups together give exactly the rows that have an outcome."""
    kept = order[:left]
    many.items_path.write_bytes(b"".join(b'{"id": %d}\n' % item for item in kept))
    index = scanned(many.folder, many.config, many.index)
    with many.reading() as reader:
        found = [
            (row, outcome.item_id)
            for row, outcome, _ in outcomes_in_line_order(index, reader)
        ]
    wanted = [(row, item) for row, item in enumerate(kept) if item % 3]
    assert found == wanted


@pytest.fixture
def many(night_over: NightOver) -> Night:
    """Twelve items in three shards; every third is pending."""
    night = night_over(numbered(12), slots=3)
    for row in range(12):
        if row % 3:
            night.record(row, slot=row % 4)
    return night


def test_an_answer_given_for_other_bytes_is_never_written(
    night_over: NightOver,
) -> None:
    night = night_over(numbered(2))
    night.record(0)
    night.record(1, fingerprint="00" * 16)
    with pytest.raises(StateDamaged, match=r"item 1 .* line 2"):
        night.export()
    assert not night.config.output.processed_path.exists()


def test_an_outcome_without_a_result_is_refused(night_over: NightOver) -> None:
    night = night_over(numbered(1))
    night.record(0, result=b"")
    with pytest.raises(StateDamaged, match="empty"):
        night.export()


def test_an_items_file_changed_under_the_run_is_refused(
    night_over: NightOver,
) -> None:
    night = night_over(numbered(2))
    night.record(0)
    night.record(1)
    night.items_path.write_bytes(b'{"id": 0}\n{"id": 2}\n')
    with pytest.raises(RunChanged, match=r"items\.jsonl:2"):
        night.export()
    assert not night.config.output.processed_path.exists()


def test_a_missing_list_of_rejected_lines_is_not_taken_for_none(
    night_over: NightOver,
) -> None:
    night = night_over(b'{"id":1}\n', on_bad_line="skip")
    (night.folder / "rejected.jsonl").unlink()
    with pytest.raises(StateDamaged, match="rejected"):
        night.export()


def test_progress_ends_at_all_rows(night_over: NightOver) -> None:
    """Rows done, rows in all; pending ones count as done at the end."""
    night = night_over(numbered(10))
    night.record(3)
    told: list[tuple[int, int]] = []
    night.export(on_progress=lambda done, total: told.append((done, total)))
    assert told == [(3, 10), (10, 10)]


def test_a_run_without_answers_writes_three_files(night_over: NightOver) -> None:
    night = night_over(numbered(2))
    night.export()
    assert (night.processed, night.failed) == (b"", b"")
    assert night.summary["items"]["pending"] == 2
    assert responses(night.processed) == []


def ids(night: Night) -> list[JsonObject]:
    """The processed lines, parsed."""
    return lines_of(night.processed)
