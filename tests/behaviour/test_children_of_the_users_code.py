"""A script that forks children of its own while a run is at work."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from orphans import wait_for_orphans

from runner.api import Run

SCRIPT = """
import os, time
from runner import run

children = []

def fork_once(status):
    if status.totals.answered and not children:
        if not (pid := os.fork()):
            print(os.getpid(), flush=True)
            time.sleep(120)
            os._exit(0)
        children.append(pid)

if __name__ == "__main__":
    run("items.jsonl", prompt="{{text}}", model="gpt-4o-mini", new=True, workers=2,
        threads=4, scenario="latency=0.2", on_status=fork_once)
"""


def test_workers_see_that_their_killed_supervisor_is_gone(tmp_path: Path) -> None:
    """Although its child lives on: they record what is in flight, and send no more."""
    lines = (f'{{"id": {n}, "text": "a"}}\n' for n in range(2_000))
    (tmp_path / "items.jsonl").write_text("".join(lines))
    (tmp_path / "script.py").write_text(SCRIPT)
    script = subprocess.Popen(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path / "xdg")},
        stdout=subprocess.PIPE,
        text=True,
    )
    with script:
        assert script.stdout
        child = int(script.stdout.readline())
        script.kill()
        script.wait()
        try:
            wait_for_orphans(tmp_path / "state" / "items")
        finally:
            os.kill(child, signal.SIGKILL)
    totals = Run.open("items", tmp_path / "state").status().totals
    assert 0 == totals.open
    assert 0 < totals.answered < 2_000
