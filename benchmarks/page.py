"""Puts the tables and the plot of the data files into the page of the docs.

The page's words are written by hand; what stands between two marks is not.
Knows growth_table, plot, report and workloads.
"""

import json
import re
from pathlib import Path
from typing import Any

import growth_table
import plot
import report
from workloads import OPEN, WORKLOADS

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "benchmarks.md"
PICTURE = DOCS / "benchmarks.svg"
MARKED = re.compile(r"(<!-- table (\S+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def renewed(text: str, results: Path) -> str:
    """Return the page with its tables as the data files have them."""

    def fill(found: re.Match[str]) -> str:
        data = json.loads((results / f"{found[2]}.json").read_text())
        return f"{found[1]}{told(data)}{found[4]}"

    return MARKED.sub(fill, text)


def told(data: dict[str, Any]) -> str:
    """Return the table of a data file: of a workload, or of sizes."""
    return report.table(data) if "workload" in data else growth_table.table(data)


def picture(results: Path) -> str:
    """Return the plot of the first workload."""
    data = json.loads((results / f"{OPEN.name}.json").read_text())
    return plot.svg(data, WORKLOADS[OPEN.name].says)


def write(results: Path) -> None:
    """Renew page and plot."""
    PAGE.write_text(renewed(PAGE.read_text(), results))
    PICTURE.write_text(picture(results))
