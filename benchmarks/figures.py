"""What came of one run? From the server's log, the answers and the process figures.

Knows provider and workloads.
"""

import dataclasses
import re
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from provider import Answer
from workloads import Workload

OK = 200
REFUSED = 429
RAMP_S = 10.0
MINUTE_S = 60.0
SHORTEST_S = 50.0
WARM_AFTER = 200_000
"""Answers after which memory has to stay as it is."""
SAMPLES = 10
"""Of memory whose median stands for a moment."""
NAME = re.compile(r"item-\d+")
ANSWER = re.compile(r"(item-\d+) The passage says")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One run of one contestant; None where the workload has no such figure.

    Shares are of what the server's limit admits: in `measured_s` (or up to the last
    request, if that is 50 s at least) after a ramp of 10 s, and in the 60 s after
    the first request.
    """

    contestant: str
    workload: str
    items: int
    exit_code: int | None
    wall_s: float
    cpu_s: float
    user_s: float
    system_s: float
    pss_mb: float
    processes: int
    threads: int
    first_send_s: float | None
    requests: int
    refused: int
    per_second: float
    in_flight: int
    share_after_ramp: float | None
    share_first_minute: float | None
    lost: int
    wrong: int
    server_cpu_s: float
    others_cpu_s: float
    """What the rest of the machine took meanwhile; the cleaner the nearer to zero."""
    smallest_share: float | None = None
    """Of several runs on one key, what the one with the fewest answers used of the
    limit after the ramp."""
    grown_mb: float | None = None
    """Memory from the 200,000th answer to the last: medians of ten samples each."""


def figures(
    names: tuple[str, str],
    workload: Workload,
    used: dict[str, Any],
    answers: list[Answer],
    out: Path,
    server_cpu_s: float,
) -> Figures:
    """Put one run's figures together; `names` are the contestant's and workload's."""
    good = [answer for answer in answers if answer.status == OK]
    right, wrong = _checked(out)
    span_s = max(a.left_unix_s for a in good) - answers[0].came_unix_s if good else 0
    first_s = answers[0].came_unix_s - used["started_unix_s"] if answers else None
    return Figures(
        contestant=names[0],
        workload=names[1],
        items=workload.items,
        exit_code=used["exit_code"],
        wall_s=used["wall_s"],
        cpu_s=used["user_s"] + used["system_s"],
        user_s=used["user_s"],
        system_s=used["system_s"],
        pss_mb=used["pss_mb"],
        processes=used["processes"],
        threads=used["threads"],
        first_send_s=first_s,
        requests=len(answers),
        refused=sum(answer.status == REFUSED for answer in answers),
        per_second=len(good) / span_s if span_s else 0.0,
        in_flight=_most_at_once(good),
        share_after_ramp=_share(workload, good, RAMP_S, workload.measured_s),
        share_first_minute=_share(workload, good, 0, MINUTE_S),
        lost=workload.items - right,
        wrong=wrong,
        server_cpu_s=server_cpu_s,
        others_cpu_s=max(0.0, used["others_s"] - server_cpu_s),
        smallest_share=_smallest_share(workload, good),
        grown_mb=_grown_mb(used, good),
    )


def _checked(out: Path) -> tuple[int, int]:
    """Count items that have their own answer, and those that have another's.

    Each tool has its own shape of line; the item's name opens the prompt and the
    answer, and the answer goes on with words that no prompt has.
    """
    right: set[str] = set()
    wrong: set[str] = set()
    for line in out.read_text().splitlines() if out.exists() else []:
        answered = set(ANSWER.findall(line))
        asked = set(NAME.findall(line))
        (right if answered == asked else wrong).update(answered)
    return len(right), len(wrong)


def _most_at_once(answers: Iterable[Answer]) -> int:
    moves = [(answer.came_unix_s, 1) for answer in answers]
    moves += [(answer.left_unix_s, -1) for answer in answers]
    now = most = 0
    for _, move in sorted(moves):
        now += move
        most = max(most, now)
    return most


def _share(
    workload: Workload,
    good: list[Answer],
    ramp_s: float,
    span_s: float,
    run: int | None = None,
) -> float | None:
    """Return how much of the limit was used from `ramp_s` on, `span_s` at most.

    By all runs together, or by one of several: see contestants/at_once.py.
    """
    if not good or not (workload.rpm or workload.tpm):
        return None
    begin_s = good[0].came_unix_s + ramp_s
    end_s = min(begin_s + span_s, good[-1].came_unix_s)
    if end_s - begin_s < SHORTEST_S:
        return None  # what was free before it began would count for too much
    limit = workload.rpm or workload.tpm
    counted = [a for a in good if run in (None, _run_of(workload, a))]
    used = sum(
        _charge(workload, a) for a in counted if begin_s <= a.came_unix_s < end_s
    )
    before = [
        (a.came_unix_s, _charge(workload, a)) for a in good if a.came_unix_s < begin_s
    ]
    held = _held(workload, before, begin_s) if workload.meter == "bucket" else 0.0
    return used / (limit / 60 * (end_s - begin_s) + held)


def _smallest_share(workload: Workload, good: list[Answer]) -> float | None:
    if workload.runs == 1:
        return None
    shares = [
        _share(workload, good, RAMP_S, workload.measured_s, run)
        for run in range(workload.runs)
    ]
    return min((share for share in shares if share is not None), default=None)


def _run_of(workload: Workload, answer: Answer) -> int:
    return int(answer.item.rpartition("-")[2]) % workload.runs


def _charge(workload: Workload, answer: Answer) -> int:
    return 1 if workload.rpm else answer.charged_tokens


def _held(workload: Workload, took: list[tuple[float, int]], until_s: float) -> float:
    """Return what the server's bucket still held: it can be admitted on top."""
    burst = workload.request_burst() if workload.rpm else workload.token_burst()
    rate = (workload.rpm or workload.tpm) / 60
    level, last_s = float(burst), took[0][0] if took else until_s
    for at_s, charge in [*took, (until_s, 0)]:
        level = min(burst, level + (at_s - last_s) * rate) - charge
        last_s = at_s
    return max(0.0, level)


def _grown_mb(used: dict[str, Any], good: list[Answer]) -> float | None:
    if len(good) <= WARM_AFTER:
        return None
    left_s = sorted(answer.left_unix_s - used["started_unix_s"] for answer in good)
    warm_s, last_s = left_s[WARM_AFTER - 1], left_s[-1]
    samples: list[float] = [
        mb for at_s, mb in used["memory"] if warm_s <= at_s <= last_s
    ]
    if len(samples) < 2 * SAMPLES:
        return None
    return statistics.median(samples[-SAMPLES:]) - statistics.median(samples[:SAMPLES])
