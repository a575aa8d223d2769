"""How is it told? One line a run, one table a workload.

Knows figures, record and workloads.
"""

import statistics
from collections.abc import Callable
from typing import Any

import record
from figures import Figures
from workloads import WORKLOADS

Run = dict[str, Any]

COLUMNS: dict[str, tuple[str, Callable[[float], str]]] = {
    "wall s": ("wall_s", "{:.1f}".format),
    "CPU s": ("cpu_s", "{:.1f}".format),
    "memory MB": ("pss_mb", "{:.0f}".format),
    "answers/s": ("per_second", "{:.0f}".format),
    "share of the limit": ("share_after_ramp", "{:.1%}".format),
    "in the first minute": ("share_first_minute", "{:.1%}".format),
    "of it the smaller run": ("smallest_share", "{:.1%}".format),
    "MB grown after 200,000": ("grown_mb", "{:+.1f}".format),
    "429s": ("refused", "{:.0f}".format),
    "items lost": ("lost", "{:.0f}".format),
}
RATIOS = {"wall": "wall_s", "CPU": "cpu_s", "memory": "pss_mb"}


def line(run: Figures) -> str:
    """One run in one line, for whoever is watching."""
    text = f"{run.contestant:15} wall {run.wall_s:6.2f} s  cpu {run.cpu_s:6.2f} s"
    text += f" (system {run.system_s:.2f})  pss {run.pss_mb:4.0f} MB"
    text += f"  {run.per_second:5.0f}/s  in flight {run.in_flight}"
    if run.share_after_ramp is not None:
        text += f"  share {run.share_after_ramp:.3f}"
    text += f"  429s {run.refused}  lost {run.lost}  wrong {run.wrong}"
    text += f"  exit {run.exit_code}  server {run.server_cpu_s:.1f} s"
    return f"{text}  others {run.others_cpu_s:.1f} s"


def by_contestant(data: Run) -> dict[str, list[Run]]:
    """Return the runs of each contestant, runner first, then the fastest."""
    found: dict[str, list[Run]] = {}
    for run in data["runs"]:
        found.setdefault(run["contestant"], []).append(run)
    names = sorted(found, key=lambda name: (name != "runner", _an_item(found[name])))
    return {name: found[name] for name in names}


def table(data: Run) -> str:
    """Return medians with ranges as Markdown."""
    runs = by_contestant(data)
    columns = {
        title: column
        for title, column in COLUMNS.items()
        if any(run.get(column[0]) is not None for run in data["runs"])
    }
    titles = ["", "n", *columns]
    titles += ["runner's wall, CPU, memory against it"] if "runner" in runs else []
    rows = [titles, ["---"] * len(titles)]
    for name, own in runs.items():
        row = [_title(name, own, data), str(len(own))]
        row += [_cell(own, *column) for column in columns.values()]
        if "runner" in runs:
            row.append("" if name == "runner" else _ratios(runs["runner"], own))
        rows.append(row)
    text = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    says = WORKLOADS[data["workload"]["name"]].says
    return f"**{says}**\n\n{text}\n{_circumstances(data)}\n"


def median(runs: list[Run], field: str) -> float:
    """Return the median of a figure over some runs."""
    return float(statistics.median(run[field] for run in runs))


def _an_item(runs: list[Run]) -> float:
    return float(statistics.median(run["wall_s"] / run["items"] for run in runs))


def _title(name: str, runs: list[Run], data: Run) -> str:
    items = {run["items"] for run in runs}
    fewer = items != {data["workload"]["items"]}
    counts = " or ".join(f"{count:,}" for count in sorted(items))
    title = f"{name} ({data['versions'][name]})"
    return title + (f", {counts} items" if fewer else "")


def _cell(runs: list[Run], field: str, shown: Callable[[float], str]) -> str:
    values = [run[field] for run in runs if run.get(field) is not None]
    if not values:
        return ""
    middle = shown(statistics.median(values))
    low, high = shown(min(values)), shown(max(values))
    return middle if low == high else f"{middle} ({low} to {high})"


def _ratios(ours: list[Run], theirs: list[Run]) -> str:
    return ", ".join(
        f"{median(ours, field) / median(theirs, field):.2f}"
        for field in RATIOS.values()
    )


def _circumstances(data: Run) -> str:
    cores = int(data["sessions"][-1]["machine"]["cores"])
    shares = [run["others_cpu_s"] / (run["wall_s"] * cores) for run in data["runs"]]
    return (
        f"{record.circumstances(data['sessions'])} Other work took "
        f"{statistics.median(shares):.0%} of the machine meanwhile (median)."
    )
