"""A few rounds of each torture; the long ones are commands (see CONTRIBUTING.md)."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torture

TESTS = Path(torture.__file__).parents[1]


def tortured(folder: Path, what: str, rounds: int, *more: str) -> str:
    """The closing line; fails the test if a promise was broken."""
    # A program of its own: it forks, and becomes the parent of orphans.
    command = [sys.executable, "-m", f"torture.{what}", "--rounds", str(rounds)]
    done = subprocess.run(
        [*command, "--folder", str(folder / "here"), *more],
        cwd=TESTS,
        env={**os.environ, "PYTHONPATH": str(TESTS.parent)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[-1]


_MEMORY = Path("/dev/shm")


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Path]:
    """Where calls to the disk are watched: in memory, the disk is in the way there."""
    # The library that watches is built here.
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler")
    if not os.access(_MEMORY, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=_MEMORY) as folder:
        yield Path(folder)


@pytest.fixture(autouse=True)
def on_linux() -> None:
    """Orphans are adopted, and workers found, the way Linux knows."""
    if sys.platform != "linux":
        pytest.skip("needs Linux")


def test_killing_everything_loses_nothing_and_costs_what_was_told(
    tmp_path: Path,
) -> None:
    """Eight workers with eight threads, busy."""
    assert "held" in tortured(tmp_path, "kill_everything", 6)


def test_killing_the_supervisor_alone_costs_nothing(tmp_path: Path) -> None:
    """Its workers record what is in flight, and nobody else begins meanwhile."""
    assert "paid_twice=0" in tortured(tmp_path, "kill_supervisor", 4)


def test_any_call_to_the_disk_may_be_the_last_or_fail(watched: Path) -> None:
    """Forty of them, spread over a start and a resume."""
    assert "tried=40" in tortured(watched, "crash_points", 40)


def test_what_was_acknowledged_survives_the_loss_of_power(watched: Path) -> None:
    """In two hundred states that a disk may be in afterwards."""
    assert "violations=0" in tortured(watched, "power_loss", 200)


def test_a_checkpoint_that_syncs_less_is_found_out(watched: Path) -> None:
    """Else the test before would prove nothing."""
    line = tortured(watched, "power_loss", 60, "--broken")
    assert "violations=0" not in line


def test_a_disk_that_fills_up_at_any_moment_costs_nothing_twice(tmp_path: Path) -> None:
    """But what was in flight where everything was killed besides."""
    if os.geteuid() != 0:
        pytest.skip("needs the right to mount a small disk")
    assert "not_kept=0" in tortured(tmp_path, "full_disk", 4)
