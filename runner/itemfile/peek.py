"""Does this file look like an OpenAI Batch-API input file?

Looks at the first line that can be an item, as `scan` would; `scan` makes sure
of all the others and says what is wrong with those passed over.
Floor: room (itemfile).
"""

from pathlib import Path

from runner.itemfile.batchline import is_batch_line
from runner.itemfile.diagnosis import BadLine
from runner.itemfile.lines import lines_of
from runner.itemfile.parsing import parse
from runner.itemfile.source import HashedSource, open_items


def is_batch_file(path: Path) -> bool:
    """True when the first item is a Batch-API request; raises ItemFileError."""
    with open_items(path) as file:
        for _, _, _, raw in lines_of(HashedSource(file, path), path):
            if raw is None:
                continue
            try:
                return is_batch_line(parse(raw))
            except BadLine:
                continue  # blank, or left out by --on-bad-line skip
    return False
