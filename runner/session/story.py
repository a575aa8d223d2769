"""What is known of one item, and of the requests whose end nobody knows.

Floor: the run.
"""

import bisect
import contextlib
import heapq
import json
from decimal import Decimal
from pathlib import Path

from runner.api_records import ItemStory, Unresolved
from runner.checkpoint.anew import is_due, load_due
from runner.checkpoint.manifest import Manifest
from runner.checkpoint.undisturbed import Look, undisturbed
from runner.errors import UsageError
from runner.itemfile import ItemIndex, ItemReader, id_text, possible_digests

_SHOWN = 10
_MOST_DIGITS = 18
"""Of a line's number: no file has more lines, and int() refuses thousands of them."""


def unresolved_of(run_folder: Path) -> Unresolved:
    """Requests that may have been billed without an answer, and their price."""
    return undisturbed(run_folder, lambda look: _unresolved(run_folder, look))


def _unresolved(run_folder: Path, look: Look) -> Unresolved:
    manifest = Manifest.load(run_folder)
    reader = look.open_reader(manifest)
    if reader.totals().open == 0:
        return Unresolved(count=0, worst_usd=Decimal(0), first_items=())
    count, done, worst_usd, is_known = 0, 0, Decimal(0), True
    first: list[tuple[int, str]] = []
    due = load_due(run_folder, manifest.asking_anew)
    for attempt in reader.unresolved():
        count += 1
        found = reader.outcome(attempt.number)
        done += found is not None and not is_due(found[0], due)
        is_known &= attempt.worst_usd is not None
        worst_usd += attempt.worst_usd or 0
        first.append((attempt.number, id_text(attempt.item_id)))
    return Unresolved(
        count=count,
        of_done=done,
        worst_usd=worst_usd if is_known else None,
        first_items=tuple(text for _, text in heapq.nsmallest(_SHOWN, first)),
    )


def story_of(run_folder: Path, item: str) -> ItemStory:
    """All attempts of one item, given by its id or as `line:N`; or UsageError."""
    return undisturbed(run_folder, lambda look: _story(run_folder, item, look))


def _story(run_folder: Path, item: str, look: Look) -> ItemStory:
    manifest = Manifest.load(run_folder)
    reader = look.open_reader(manifest)
    index = ItemIndex.open(run_folder / manifest.index)
    row = _row_of(index, item)
    if row is None:
        raise _unknown(manifest, index, item)
    ref = index.ref(row)
    config = manifest.config
    items = ItemReader(config.items_path, index, config.id_field)
    with contextlib.closing(items):
        item_id = items.read(row).item_id
    reader.check_keys()
    found = reader.outcome(ref.number)
    return ItemStory(
        item_id=item_id,
        number=ref.number,
        line=ref.line,
        state=found[0].state if found else None,
        reason=found[0].reason if found else None,
        attempts=tuple(reader.attempts(ref.number)),
        result=json.loads(found[1]) if found else None,
    )


def _row_of(index: ItemIndex, item: str) -> int | None:
    wanted = _line_in(item)
    if wanted is not None:
        row = bisect.bisect_left(range(len(index)), wanted, key=index.line)
        found = row < len(index) and index.line(row) == wanted
        return row if found else None
    rows = (index.find_id(digest) for digest in possible_digests(item))
    return next((row for row in rows if row is not None), None)


def _line_in(item: str) -> int | None:
    """The N of `line:N`; None where it is an id."""
    kind, _, rest = item.partition(":")
    return int(rest[:_MOST_DIGITS]) if kind == "line" and rest.isdecimal() else None


def _unknown(manifest: Manifest, index: ItemIndex, item: str) -> UsageError:
    line, run, name = _line_in(item), manifest.run, manifest.config.items_path.name
    if line is None:
        return UsageError(f"run {run} has no item {item!r}", "give its id, or line:N")
    last = index.line(len(index) - 1)
    if line > last:
        return UsageError(
            f"run {run} has no item in line {line:,}",
            f"the last of its {len(index):,} items stands in line {last:,} of {name}",
        )
    return UsageError(
        f"line {line:,} of {name} is no item of run {run}",
        f"its {len(index):,} items stand between line {index.line(0):,} and {last:,};"
        " blank lines and lines left out are none",
    )
