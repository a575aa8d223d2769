"""A script that calls the library without `if __name__ == "__main__":`."""

import os
import subprocess
import sys
from pathlib import Path

from runner.api import Run

SCRIPT = """
from runner import run
run("items.jsonl", prompt="{{text}}", model="gpt-4o-mini", new=True, workers=3,
    scenario="latency=0.02")
"""


def test_it_is_told_once_and_makes_no_second_run(tmp_path: Path) -> None:
    lines = (f'{{"id": {n}, "text": "a"}}\n' for n in range(9))
    (tmp_path / "items.jsonl").write_text("".join(lines))
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path / "xdg")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert 1 == done.returncode
    assert 1 == done.stderr.count("Traceback")
    last = done.stderr.splitlines()[-1]
    assert last.startswith("runner.errors.UsageError: ")
    assert 'put the call under `if __name__ == "__main__":`' in last
    assert ["items"] == [path.name for path in (tmp_path / "state").glob("[!.]*")]
    assert 0 == Run.open("items", tmp_path / "state").status().totals.begun
