"""What a benchmark says of a process tree is what the tree has used."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import measured
import pytest

BURN = "import time\nwhile time.process_time() < {seconds}: pass\n"
TREE = f"""
import os, subprocess, sys, time
burn = {BURN.format(seconds=0.3)!r}
subprocess.run([sys.executable, "-c", burn])              # waited for
subprocess.Popen([sys.executable, "-c", burn])            # never waited for
if os.fork() == 0:
    subprocess.Popen([sys.executable, "-c", burn])        # an orphan of an orphan
    os._exit(0)
"""
FOUR_STARTS_S = 0.6
"""Most that four interpreters need to start."""


def used_by(folder: Path, code: str, timeout_s: float = 60) -> dict[str, Any]:
    result = folder / "used.json"
    words = [sys.executable, measured.__file__, str(result), str(timeout_s)]
    subprocess.run([*words, sys.executable, "-c", code], check=True)
    used: dict[str, Any] = json.loads(result.read_text())
    return used


def test_cpu_of_orphans_and_of_children_nobody_waits_for_is_counted(
    tmp_path: Path,
) -> None:
    used = used_by(tmp_path, TREE)

    assert 0.9 <= used["user_s"] + used["system_s"] < 0.9 + FOUR_STARTS_S


def test_waiting_is_wall_time_and_no_cpu(tmp_path: Path) -> None:
    used = used_by(tmp_path, "import time; time.sleep(0.7)")

    assert used["wall_s"] >= 0.7
    assert used["user_s"] + used["system_s"] < 0.5


def test_memory_of_all_processes_is_summed_at_its_peak(tmp_path: Path) -> None:
    hold = "held = b'x' * (40 << 20); import time; time.sleep(1.5)"
    code = f"import subprocess, sys\nchild = [sys.executable, '-c', {hold!r}]\n"
    code += "first, second = subprocess.Popen(child), subprocess.Popen(child)\n"
    code += "first.wait(), second.wait()\n"

    used = used_by(tmp_path, code)

    assert used["processes"] == 3
    assert used["pss_mb"] == pytest.approx(95, abs=15)


def test_a_command_that_never_ends_is_ended_with_all_its_tree(tmp_path: Path) -> None:
    code = "import subprocess, sys\n"
    code += "subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"

    used = used_by(tmp_path, code, timeout_s=0.5)

    assert used["exit_code"] is None
    assert used["wall_s"] < 10
