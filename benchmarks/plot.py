"""A picture of one workload: wall time and CPU, a bar each, as SVG.

Knows report.
"""

from html import escape
from typing import Any

from report import by_contestant, median

WIDTH, LEFT, RIGHT = 760, 150, 90
BAR, GAP, TOP = 12, 14, 56
COLOURS = {"wall_s": "#2563a8", "cpu_s": "#e08a2b"}
NAMES = {"wall_s": "wall time, s", "cpu_s": "CPU of the whole process tree, s"}


def svg(data: dict[str, Any], says: str) -> str:
    """Return a bar chart of the medians; lines show the ranges.

    Only of those that were given all items.
    """
    items = data["workload"]["items"]
    runs = {
        name: own
        for name, own in by_contestant(data).items()
        if all(run["items"] == items for run in own)
    }
    names = sorted(runs, key=lambda name: median(runs[name], "wall_s"))
    most = max(run[field] for own in runs.values() for run in own for field in COLOURS)
    scale = (WIDTH - LEFT - RIGHT) / most
    height = TOP + len(names) * (2 * BAR + GAP) + 10
    parts = [_opening(height), _text(16, 20, says, weight="bold"), *_legend()]
    for place, name in enumerate(names):
        y = TOP + place * (2 * BAR + GAP)
        weight = "bold" if name == "runner" else "normal"
        parts.append(_text(LEFT - 8, y + BAR + 4, name, weight=weight, anchor="end"))
        for step, field in enumerate(COLOURS):
            parts += _bar(runs[name], field, y + step * BAR, scale)
    return "\n".join([*parts, "</svg>\n"])


def _opening(height: int) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="sans-serif" font-size="12" fill="#222">\n'
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>'
    )


def _legend() -> list[str]:
    parts, x = [], LEFT
    for field, colour in COLOURS.items():
        parts.append(f'<rect x="{x}" y="32" width="10" height="10" fill="{colour}"/>')
        parts.append(_text(x + 15, 41, NAMES[field]))
        x += 130
    return parts


def _bar(runs: list[Any], field: str, y: int, scale: float) -> list[str]:
    middle = median(runs, field)
    low, high = (pick(run[field] for run in runs) * scale for pick in (min, max))
    end = LEFT + middle * scale
    size = f'width="{middle * scale:.1f}" height="{BAR - 2}"'
    span = f'x1="{LEFT + low:.1f}" x2="{LEFT + high:.1f}"'
    return [
        f'<rect x="{LEFT}" y="{y}" {size} fill="{COLOURS[field]}"/>',
        f'<line {span} y1="{y + 5}" y2="{y + 5}" stroke="#222"/>',
        _text(max(end, LEFT + high) + 5, y + 9, f"{middle:.1f}"),
    ]


def _text(
    x: float, y: float, text: str, *, weight: str = "normal", anchor: str = "start"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-weight="{weight}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )
