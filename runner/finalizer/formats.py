"""How are answers written, and what does each format need for it?

Only what needs the items opens their file: answers that were paid for can be had
without it, as long as the run's folder is there.

Floor: the run. Knows checkpoint and itemfile.
"""

import contextlib
from collections.abc import Iterator
from typing import Protocol

from runner.checkpoint.entries import Outcome
from runner.checkpoint.manifest import Manifest
from runner.checkpoint.reading import RunReader
from runner.config import Format, RunConfig
from runner.finalizer.answerlines import AnswerLines
from runner.finalizer.batchlines import BatchLines
from runner.finalizer.itemlines import ItemLines
from runner.itemfile import ItemIndex, ItemReader, RejectedLine


class Lines(Protocol):
    """One format of the two files; every line with its line end."""

    def answered(self, row: int, outcome: Outcome, result: bytes) -> bytes:
        """An item with an answer, valid or not."""

    def failed(self, row: int, outcome: Outcome, result: bytes) -> bytes:
        """An item without one."""

    def rejected(self, rejected: RejectedLine) -> bytes:
        """A line that is no item."""


@contextlib.contextmanager
def lines_in(
    in_format: Format, manifest: Manifest, index: ItemIndex, reader: RunReader
) -> Iterator[Lines]:
    """Lines in that format; raises RunChanged where it needs items that are gone."""
    config = manifest.config
    name = config.items_path.name
    with contextlib.ExitStack() as opened:

        def items() -> ItemReader:
            return opened.enter_context(
                ItemReader(config.items_path, index, config.id_field)
            )

        match in_format:
            case Format.JSONL:
                key = config.output.result_key
                yield ItemLines(items(), result_key=key, items_name=name)
            case Format.ANSWERS:
                yield AnswerLines(index, items_name=name)
            case Format.BATCH:
                yield BatchLines(
                    reader,
                    ids_from=items() if _has_other_ids(config) else None,
                    run_id=manifest.run_id,
                    items_name=name,
                )


def _has_other_ids(config: RunConfig) -> bool:
    """Whether the run's ids are others than the requests' `custom_id`."""
    return config.task.batch and config.id_field not in (None, "custom_id")
