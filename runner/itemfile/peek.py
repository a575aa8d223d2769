"""Does this file look like an OpenAI Batch-API input file?

Looks at the first line that can be an item, as `scan` would; `scan` makes sure
of all the others and says what is wrong with those passed over.

Floor: doors and rules.
"""

from pathlib import Path

from runner.errors import ItemFileError
from runner.itemfile.batchline import faults_of, is_batch_line
from runner.itemfile.diagnosis import BadLine
from runner.itemfile.lines import lines_of
from runner.itemfile.parsing import parse
from runner.itemfile.source import HashedSource, open_items
from runner.itemfile.text import path_text
from runner.records import JsonObject


def is_batch_file(path: Path) -> bool:
    """True when the first item is a Batch-API request; raises ItemFileError."""
    first = _first_item(path)
    return first is not None and is_batch_line(first[1])


def refuse_nearly_batch(path: Path) -> None:
    """ItemFileError where the first item looks like a Batch-API request and is none.

    For a run that was told no question: the line was to bring its own.
    """
    first = _first_item(path)
    if first is None:
        return
    line, fields = first
    if faults := faults_of(fields):
        raise ItemFileError(
            f"{path_text(path)}:{line} is not quite an OpenAI Batch-API request"
            f" ({'; '.join(faults)}), and nothing else says what to ask",
            "mend the lines, or give --prompt, --prompt-file or --task",
        )


def _first_item(path: Path) -> tuple[int, JsonObject] | None:
    """Its line and fields; None: there is no item. Raises ItemFileError."""
    with open_items(path) as file:
        for line, _, _, raw in lines_of(HashedSource(file, path), path):
            if raw is None:
                continue
            try:
                return line, parse(raw)
            except BadLine:
                continue  # blank, or left out by --on-bad-line skip
    return None
