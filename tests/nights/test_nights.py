"""A few nights of everything going wrong; `python -m nights 0 5000` for many."""

import subprocess
import sys
from pathlib import Path

import pytest

from nights.plan import Plan
from nights.running import nights, template_run

_EACH = 8
_BLOCKS = 3


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
    seeds = iter(range(block * _EACH, (block + 1) * _EACH))
    for told in nights(seeds, template, jobs=1):
        assert not told.broken, Plan.of(told.seed).describe()
        assert told.faults >= 20
        assert told.hours >= 10


def test_the_same_seed_is_the_same_night() -> None:
    """A seed is a bug report: plan and digest of all that was sent are alike."""
    command = [sys.executable, "-m", "nights", "3", "1", "--describe"]
    told = [
        subprocess.run(
            command,
            cwd=Path(__file__).parents[1],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout.splitlines()[0]
        for _ in range(2)
    ]
    assert told[0].startswith("seed 3:")
    assert told[0] == told[1]
