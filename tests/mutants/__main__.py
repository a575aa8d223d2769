"""Apply each deliberate bug to a copy, and see which tests notice: `python -m mutants`.

From the folder `tests`. First the simulated nights alone, then the tests named for
the bug, then the whole suite. Exit code 1 if one goes unnoticed by all of them.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from mutants.catalogue import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[2]
_RED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)
_NIGHTS_S, _TESTS_S, _SUITE_S = 300, 600, 1_800
_APART = 16
"""Seeds from one night to the next: eight of each family."""


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of names; default: all")
    parser.add_argument("--nights", type=int, default=32, help="how many; 0: none")
    parser.add_argument("--first", type=int, default=0, help="seed of the first night")
    asked = parser.parse_args()
    chosen = [
        m for m in MUTANTS if not asked.names or any(n in m.name for n in asked.names)
    ]
    # With whatever it has started: a suite in a session of its own would go on.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    by_nights = missed = 0
    for number, mutant in enumerate(chosen, 1):
        begun_s = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
            place = applied(mutant, Path(folder))
            at_night = asked.nights and red_at_night(place, asked.first, asked.nights)
            by_day = red_by_day(place, mutant)
        by_nights += bool(at_night)
        missed += not (at_night or by_day)
        noticed = ", ".join(filter(None, [at_night or "", by_day or ""])) or "NOBODY"
        took_s = time.monotonic() - begun_s
        print(f"{number:3} {mutant.name}: {noticed} ({took_s:.0f} s)", flush=True)
    print(
        f"{len(chosen)} mutants, {len(chosen) - missed} caught,"
        f" {by_nights} of them by simulated nights alone"
    )
    return 1 if missed else 0


def applied(mutant: Mutant, folder: Path) -> Path:
    """A copy of the project with that bug."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    for edit in mutant.edits:
        path = folder / "runner" / edit.path
        text = path.read_text()
        assert text.count(edit.old) == 1, f"{mutant.name}: not once in {edit.path}"
        path.write_text(text.replace(edit.old, edit.new))
    return folder


def red_at_night(place: Path, first: int, count: int) -> str | None:
    """What the simulated nights say, if anything."""
    which = [str(first), str(count), "--every", str(_APART)]
    done = _run(place, _NIGHTS_S, "-m", "nights", *which, "--fail-fast")
    if done is None:
        return "nights (never end)"
    return f"nights ({_first_words(done.stdout)})" if done.returncode else None


def red_by_day(place: Path, mutant: Mutant) -> str | None:
    """The first test that fails: of those named, else of all."""
    named = [
        f"tests/{path}" for path in mutant.tests if (ROOT / "tests" / path).exists()
    ]
    # Not the test that each bug can be made: in its own copy one is made already.
    all_others = ["tests", "--ignore", "tests/mutants"]
    for paths, limit_s in ((named, _TESTS_S), (all_others, _SUITE_S)):
        done = _run(place, limit_s, "-m", "pytest", "-x", "-q", "-n", "2", *paths)
        if done is None:
            return f"{paths[0]} (never ends)"
        if done.returncode:
            found = _RED.search(done.stdout)
            return found[1] if found else done.stdout.strip().splitlines()[-1]
    return None


def _run(
    place: Path, limit_s: float, *words: str
) -> "subprocess.CompletedProcess[str] | None":
    folder = place / "tests" if "nights" in words else place
    command = [sys.executable, *words]
    # Into a file: a child that outlives its test would keep a pipe open for ever.
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as said,
        subprocess.Popen(
            command,
            cwd=folder,
            # Before the installed project, in spawned workers as well.
            env={**os.environ, "PYTHONPATH": f"{place}{os.pathsep}{place / 'tests'}"},
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            process.wait(timeout=limit_s)
        except subprocess.TimeoutExpired:
            return None
        finally:
            # With its children: one night that never ends fills the memory.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        said.seek(0)
        return subprocess.CompletedProcess(command, process.returncode, said.read())


def _first_words(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.startswith("    ")]
    return lines[0][:90] if lines else output.strip()[-90:]


if __name__ == "__main__":
    sys.exit(main())
