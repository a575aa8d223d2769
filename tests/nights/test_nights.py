"""A few nights of everything going wrong; `python -m nights 0 5000` for many."""

import subprocess
import sys
from pathlib import Path

import pytest

from nights.plan import FAMILY
from nights.running import nights, template_run

_BLOCKS = 3
_FAMILIES = 3
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
    alone = _told(last, 1, 1)
    among = _told(0, 3, last // 2) + _told(last - 1, 2, 1)
    assert len(alone) == 1
    assert alone[0].startswith(f"seed {last}:")
    assert len(set(among)) == 4
    assert {line for line in among if line.startswith(f"seed {last}:")} == set(alone)


def test_nights_of_one_family_share_a_beginning_and_have_futures_of_their_own() -> None:
    """What was worked out once is one past; all that is sent later differs."""
    first, second = _told(0, 2, 1)
    before = first[first.index(":") :].split(" at 9", maxsplit=1)[0]
    assert before in second
    assert first.rsplit(maxsplit=1)[1] != second.rsplit(maxsplit=1)[1]


def _told(first: int, count: int, every: int) -> list[str]:
    words = [str(first), str(count), "--every", str(every), "--describe"]
    done = subprocess.run(
        [sys.executable, "-m", "nights", *words],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [line for line in done.stdout.splitlines() if line.startswith("seed ")]
