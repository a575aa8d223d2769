"""What is kept of a comparison? A data file: every run, its machine and versions.

Knows environments, figures, provider, roster and workloads.
"""

import dataclasses
import json
import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

import environments
import provider
from figures import Figures
from roster import ROSTER
from workloads import WORKLOADS, Workload

Data = dict[str, Any]


def write(
    target: Path, workload: Workload, runs: list[Figures], *, append: bool
) -> Data:
    """Write these runs to `target`, behind those it holds if `append`; return all."""
    kept: Data = {"sessions": [], "versions": {}, "runs": []}
    if append and target.exists():
        kept = json.loads(target.read_text())
    names = {run.contestant: None for run in runs}
    data = {
        "workload": dataclasses.asdict(WORKLOADS[workload.name]),
        "sessions": [*kept["sessions"], session(len(runs))],
        "versions": kept["versions"] | {name: _version(name) for name in names},
        "runs": kept["runs"] + [dataclasses.asdict(run) for run in runs],
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(data, indent=1) + "\n")
    return data


def session(runs: int) -> Data:
    """Return when, of which commit and on what machine so many runs were measured."""
    return {
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "commit": _commit(),
        "machine": _machine(),
        "runs": runs,
    }


def circumstances(sessions: list[Data]) -> str:
    """Return the same in words."""
    first, last = sessions[0], sessions[-1]
    commits = sorted({session["commit"] for session in sessions})
    machine = last["machine"]
    dates = " to ".join(dict.fromkeys([first["date"], last["date"]]))
    return (
        f"{dates} UTC, commit {', '.join(commits)}; {machine['cores']} cores of "
        f"{machine['processor']}, {machine['memory']}, Linux {machine['kernel']}, "
        f"Python {machine['python']}, nginx {machine['nginx']}."
    )


def _machine() -> dict[str, str]:
    """Return processor, cores, memory, kernel, Python and nginx."""
    processor = "unknown"
    for text in Path("/proc/cpuinfo").read_text().splitlines():
        if text.startswith("model name"):
            processor = text.partition(":")[2].strip()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": processor,
        "cores": str(os.cpu_count()),
        "memory": f"{memory:.0f} GiB",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "nginx": provider.version(),
    }


def _version(name: str) -> str:
    contestant = ROSTER[name]
    python = environments.python_for(contestant.requirements_file())
    return f"{contestant.package} {environments.installed(python)[contestant.package]}"


def _commit() -> str:
    git = ["git", "-C", str(environments.ROOT)]
    said = _said([*git, "describe", "--always"])
    # Earlier results are no other code.
    is_other = _said([*git, "status", "--porcelain", "--", ":!benchmarks/results"])
    return f"{said}-dirty" if is_other else said or "unknown"


def _said(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip()
