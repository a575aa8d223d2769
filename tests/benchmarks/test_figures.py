"""Figures of a benchmark from a log and from answers that are known."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import figures
import provider
import pytest
from workloads import WORKLOADS

USED: dict[str, Any] = {
    "started_unix_s": 99.0,
    "wall_s": 3.0,
    "exit_code": 0,
    "user_s": 1.0,
    "system_s": 0.5,
    "pss_mb": 50.0,
    "processes": 1,
    "threads": 1,
    "others_s": 0.75,
    "memory": [],
}
TEXT = "The passage says what it means to say."


def figures_of(
    folder: Path, name: str, log: str, lines: list[dict[str, Any]], items: int
) -> figures.Figures:
    (folder / "requests.log").write_text(log)
    out = folder / "out.jsonl"
    out.write_text("".join(json.dumps(line) + "\n" for line in lines))
    workload = dataclasses.replace(WORKLOADS[name], items=items)
    answers = provider.read_log(folder / "requests.log")
    return figures.figures(("runner", name), workload, USED, answers, out, 0.25)


def test_an_answer_counts_only_for_the_item_it_belongs_to(tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = [
        {"id": "item-1", "response": f"item-1 {TEXT}"},
        {"id": "item-2", "response": f"item-3 {TEXT}"},
        {"id": "item-4", "response": None},
        {"input": "item-5 Read this", "llm": {"response": f"item-5 {TEXT}"}},
    ]

    found = figures_of(tmp_path, "open", "", lines, items=5)

    assert (found.lost, found.wrong) == (3, 1)


def test_refusals_are_counted_and_answers_per_second_leave_them_out(
    tmp_path: Path,
) -> None:
    log = "101.000 1.000 200 item-1 0\n100.500 0.000 429 item-2 0\n"
    log += "102.000 1.000 200 item-2 0\n"

    found = figures_of(tmp_path, "open", log, [], items=2)

    assert (found.requests, found.refused, found.in_flight) == (3, 1, 1)
    assert found.per_second == pytest.approx(1.0)
    assert found.first_send_s == pytest.approx(1.0)
    assert found.others_cpu_s == pytest.approx(0.5)


def test_the_share_of_a_limit_is_taken_after_the_ramp(tmp_path: Path) -> None:
    # 6,000 a minute are 100 a second: half of it, for 90 s.
    arrivals = [step * 0.02 for step in range(4501)]
    log = "".join(f"{100 + at:.3f} 0.000 200 item-1 0\n" for at in arrivals)

    found = figures_of(tmp_path, "window", log, [], items=1)

    assert found.share_after_ramp == pytest.approx(0.5, abs=0.001)


def test_what_a_bucket_still_held_could_have_been_admitted_too(tmp_path: Path) -> None:
    # 600,000 a minute are 10,000 a second, and the bucket of 100,000 is full after
    # the ramp: 60 s admit 700,000, of which 350,000 were taken.
    late = [f"{110 + at}.000 0.000 200 item-1 10000\n" for at in range(35)]
    log = "".join(["100.000 0.000 200 item-1 0\n", *late])
    log += "170.000 0.000 200 item-1 0\n"

    found = figures_of(tmp_path, "tokens", log, [], items=1)

    assert found.share_after_ramp == pytest.approx(1 / 2, abs=0.001)


def test_of_two_runs_the_one_with_fewer_answers_is_told(tmp_path: Path) -> None:
    # 6,000 a minute are 100 a second; each third request is of the other run.
    arrivals = [(step * 0.01, 1 if step % 3 else 2) for step in range(9001)]
    log = "".join(f"{100 + at:.3f} 0.000 200 item-{run} 0\n" for at, run in arrivals)

    found = figures_of(tmp_path, "two", log, [], items=2)

    assert found.share_after_ramp == pytest.approx(1, abs=0.02)
    assert found.smallest_share == pytest.approx(1 / 3, abs=0.01)


def test_memory_is_compared_from_where_it_has_to_stay_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An answer a second from 100 on; the command began at 99.
    monkeypatch.setattr(figures, "WARM_AFTER", 20)
    log = "".join(f"{100 + at}.000 0.000 200 item-1 0\n" for at in range(60))
    memory = [(float(at), 50.0 + at) for at in range(90)]
    monkeypatch.setitem(USED, "memory", memory)

    found = figures_of(tmp_path, "open", log, [], items=1)

    # Ten samples each, from 20 s to 29 s and from 51 s to 60 s.
    assert found.grown_mb == 31
