"""The figures of growth.py as a table; one row a size.

Knows record.
"""

from collections.abc import Callable
from typing import Any

import record

COLUMNS: dict[str, tuple[str, Callable[[float], str]]] = {
    "items recorded": ("items", "{:,.0f}".format),
    "start to first send, s": ("start_s", "{:.1f}".format),
    "its supervisor, MB": ("start_rss_mb", "{:.0f}".format),
    "resume to first send, s": ("resume_s", "{:.1f}".format),
    "its supervisor, MB ": ("resume_rss_mb", "{:.0f}".format),
    "`status`, s": ("status_s", "{:.2f}".format),
    "`export`, lines/s": ("export_lines_per_s", "{:,.0f}".format),
    "its memory, MB": ("export_rss_mb", "{:.0f}".format),
    "state, bytes an item": ("state_bytes_an_item", "{:,.0f}".format),
}


def table(data: dict[str, Any]) -> str:
    """Return it as Markdown."""
    rows = [list(COLUMNS), ["---:"] * len(COLUMNS)]
    rows += [
        [shown(row[field]) for field, shown in COLUMNS.values()] for row in data["rows"]
    ]
    text = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    return f"{text}\n{record.circumstances([data['session']])}\n"
