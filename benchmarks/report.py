"""How is it told? One line a run, one table a workload, all runs in a data file.

Knows figures, roster and workloads.
"""

import dataclasses
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import environments
import provider
from figures import Figures
from roster import ROSTER
from workloads import WORKLOADS, Workload

Row = dict[str, Any]


def data(workload: Workload, runs: list[Figures], earlier: Path | None) -> Row:
    """Return all that is known of these runs and of those in the file `earlier`."""
    before = (
        json.loads(earlier.read_text()) if earlier else {"runs": [], "versions": {}}
    )
    names = {run.contestant: None for run in runs}
    return {
        "workload": {**dataclasses.asdict(workload)},
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "versions": before["versions"] | {name: _version(name) for name in names},
        "runs": before["runs"] + [dataclasses.asdict(run) for run in runs],
    }


def machine() -> dict[str, str]:
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


def line(run: Figures) -> str:
    """One run in one line, for whoever is watching."""
    text = f"{run.contestant:15} wall {run.wall_s:6.2f} s  cpu {run.cpu_s:6.2f} s"
    text += f" (system {run.system_s:.2f})  pss {run.pss_mb:4.0f} MB"
    text += f"  {run.per_second:5.0f}/s  in flight {run.in_flight}"
    if run.share_after_ramp is not None:
        text += f"  share {run.share_after_ramp:.3f}"
    text += f"  429s {run.refused}  lost {run.lost}  wrong {run.wrong}"
    return f"{text}  exit {run.exit_code}  server {run.server_cpu_s:.1f} s"


COLUMNS: dict[str, tuple[str, Callable[[float], str]]] = {
    "wall s": ("wall_s", "{:.2f}".format),
    "CPU s": ("cpu_s", "{:.2f}".format),
    "memory MB": ("pss_mb", "{:.0f}".format),
    "requests/s": ("per_second", "{:.0f}".format),
    "share": ("share_after_ramp", "{:.1%}".format),
    "first minute": ("share_first_minute", "{:.1%}".format),
    "429s": ("refused", "{:.0f}".format),
    "items lost": ("lost", "{:.0f}".format),
}


def table(found: Row) -> str:
    """Return medians with ranges as Markdown."""
    by_name: dict[str, list[Row]] = {}
    for run in found["runs"]:
        by_name.setdefault(run["contestant"], []).append(run)
    columns = {
        title: column
        for title, column in COLUMNS.items()
        if any(run[column[0]] is not None for run in found["runs"])
    }
    workload = WORKLOADS[found["workload"]["name"]]
    machine = found["machine"]
    text = f"{workload.says}\n\n"
    text += f"| | n | {' | '.join(columns)} | wall ratio |\n"
    text += "|---|---" + "|---" * len(columns) + "|---|\n"
    for name, runs in by_name.items():
        cells = [_cell(runs, *column) for column in columns.values()]
        ratio = _wall_ratio(by_name, name)
        text += f"| {_title(runs, found)} | {len(runs)} | {' | '.join(cells)} "
        text += f"| {ratio} |\n"
    text += f"\n{found['date']}, {machine['cores']} cores of {machine['processor']}, "
    text += f"{machine['memory']}, Linux {machine['kernel']}, Python "
    return text + f"{machine['python']}, nginx {machine['nginx']}.\n"


def _title(runs: list[Row], found: Row) -> str:
    name = runs[0]["contestant"]
    package, version = found["versions"][name]
    fewer = runs[0]["items"] < found["workload"]["items"]
    title = f"{name} ({package} {version})"
    return title + (f", {runs[0]['items']:,} items" if fewer else "")


def _cell(runs: list[Row], field: str, shown: Callable[[float], str]) -> str:
    values = [run[field] for run in runs if run[field] is not None]
    if not values:
        return "-"
    median, low, high = statistics.median(values), min(values), max(values)
    if shown(low) == shown(high):
        return shown(median)
    return f"{shown(median)} ({shown(low)}-{shown(high)})"


def _wall_ratio(by_name: dict[str, list[Row]], name: str) -> str:
    """Return the wall time of runner as a part of this contestant's, an item each."""
    if "runner" not in by_name:
        return "-"
    ours, theirs = (
        statistics.median(run["wall_s"] / run["items"] for run in by_name[who])
        for who in ("runner", name)
    )
    return f"{ours / theirs:.2f}"


def _version(name: str) -> tuple[str, str]:
    contestant = ROSTER[name]
    python = environments.python_for(contestant.requirements_file())
    return contestant.package, environments.installed(python)[contestant.package]
