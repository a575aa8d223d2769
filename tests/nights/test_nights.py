"""A few nights of everything going wrong; `python -m nights 0 5000` for many."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from nights.plan import FAMILY, TURNS
from nights.running import nights, template_run

_BLOCKS = 4
_FAMILIES = 2
"""Of one block."""
_NIGHTS = 4
"""Of one family: those that part last."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody has worked on."""
    return template_run(tmp_path_factory.mktemp("template"))


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("block", range(_BLOCKS))
def test_a_night_of_faults_loses_nothing_and_pays_for_nothing_twice(
    template: Path, block: int
) -> None:
    """Promises P1 to P9, as far as a simulated machine can break them."""
    families = range(block * _FAMILIES, (block + 1) * _FAMILIES)
    seeds = [FAMILY * family + night for family in families for night in range(_NIGHTS)]
    for told in nights(seeds, template, jobs=1):
        assert not told.broken, told.plan
        assert told.faults >= 20
        assert told.hours >= 10


def test_the_same_seed_is_the_same_night_alone_and_among_its_family() -> None:
    """A seed is a bug report: plan and digest of all that was sent are alike."""
    last = FAMILY - 1
    alone = _told(last, 1)
    # The two of them part at the first turn.
    other, among = _told(last // 2, 2, last - last // 2)
    assert alone == [among]
    assert alone[0].startswith(f"seed {last}:")

    assert _past(among) == _past(other) != []
    assert among.split()[-1] != other.split()[-1]


def _past(told: str) -> list[str]:
    """What was done before the first turn."""
    deeds = re.findall(r"[;,] ([^;,]+ at (\d+) for \d+ s)", told)
    return [deed for deed, at in deeds if int(at) <= TURNS[0]]


def _told(first: int, count: int, every: int = 1) -> list[str]:
    words = [str(first), str(count), "--every", str(every), "--describe"]
    done = subprocess.run(
        [sys.executable, "-m", "nights", *words],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [line for line in done.stdout.splitlines() if line.startswith("seed ")]
