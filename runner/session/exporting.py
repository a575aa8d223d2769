"""Writing a run's files at any time: finished, stopped, dead or still going.

Floor: the run.
"""

import contextlib
import dataclasses
import json
import logging
import time
from pathlib import Path

from runner.api_records import Progress
from runner.checkpoint.locks import is_worked_on
from runner.checkpoint.manifest import Manifest
from runner.checkpoint.reading import RunReader
from runner.config import default_output
from runner.durable import write_json
from runner.errors import RunChanged, StateDamaged
from runner.finalizer import check_targets, export, ours_now
from runner.itemfile import ItemIndex, ItemReader
from runner.pricing import PriceBook
from runner.records import JsonObject
from runner.run_folder import EXPORTS, SUPERVISOR_SLOT
from runner.summary import Summary
from runner.supervisor.heartbeat import read_status

WRITING = "writing files"
_log = logging.getLogger("runner.exporting")


def export_run(
    run_folder: Path,
    *,
    processed_path: Path | None = None,
    batch: bool = False,
    overwrite: bool = False,
    on_progress: Progress | None = None,
) -> Summary:
    """Write the processed, failed and summary files; takes no lock to read.

    Raises OutputError if a target must not be written, StateDamaged if an answer
    does not belong to its item, HalfJudged where a rejudgement is not finished.
    """
    manifest = Manifest.load(run_folder)
    manifest.refuse_half_judged()
    output = manifest.config.output
    if processed_path is not None:
        output = dataclasses.replace(
            default_output(manifest.config.items_path, processed_path.absolute()),
            result_key=output.result_key,
        )
    output = dataclasses.replace(output, overwrite=output.overwrite or overwrite)
    written = files_of_ours(run_folder)
    check_targets(output, inputs=manifest.config.input_paths, written=written)
    notes = _Notes(run_folder, written, ours_now(output, written))
    status = read_status(run_folder)
    index = ItemIndex.open(run_folder / manifest.index)
    with contextlib.ExitStack() as opened:
        config = manifest.config
        items = opened.enter_context(
            contextlib.closing(ItemReader(config.items_path, index, config.id_field))
        )
        reader = opened.enter_context(
            contextlib.closing(
                manifest.open_reader(run_folder, live=is_worked_on(run_folder))
            )
        )
        _hold_verdicts(run_folder, manifest, reader)
        summary = export(
            run_folder=run_folder,
            manifest=manifest,
            index=index,
            items=items,
            reader=reader,
            output=output,
            batch=batch,
            state=status.state,
            stopped_because=status.stopped_because,
            price_source=PriceBook(config.service).describe(),
            now_unix_s=time.time(),
            on_ready=notes.announce,
            on_progress=on_progress
            and (lambda done, total: on_progress(WRITING, done, total)),
        )
    notes.confirm()
    return summary


def _hold_verdicts(run_folder: Path, manifest: Manifest, reader: RunReader) -> None:
    """See all verdicts as by the rules of `manifest`; RunChanged where they are not.

    A rejudgement writes into one shard only, and may begin at any moment.
    """
    if SUPERVISOR_SLOT in reader.shards:
        reader.shards[SUPERVISOR_SLOT].hold_still()
    now = Manifest.load(run_folder)
    now.refuse_half_judged()
    if not now.is_judged_as(manifest):
        raise RunChanged(
            f"run {manifest.run} was changed while it was being read", "do this again"
        )


def files_of_ours(run_folder: Path) -> dict[str, JsonObject]:
    """Files this run wrote, by path: they may be replaced without asking."""
    try:
        stored: dict[str, JsonObject] = json.loads((run_folder / EXPORTS).read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise StateDamaged(f"{run_folder / EXPORTS} cannot be read: {error}") from error
    return stored


class _Notes:
    """What is noted of the files, before they are replaced and after.

    In between, each of them is the old one or the new one: killed there, both are
    this run's own. Apart from the manifest, which a running session holds.
    """

    def __init__(
        self,
        run_folder: Path,
        written: dict[str, JsonObject],
        before: dict[str, JsonObject],
    ) -> None:
        self._path = run_folder / EXPORTS
        self._written = written
        self._before = before
        self._new: dict[str, JsonObject] = {}

    def announce(self, new: dict[str, JsonObject]) -> None:
        """The files are about to become these."""
        self._new = new
        with contextlib.suppress(OSError):  # told once, where they have
            self._note(
                {
                    path: {**each, "before": self._before.get(path)}
                    for path, each in new.items()
                }
            )

    def confirm(self) -> None:
        """They have."""
        try:
            self._note(self._new)
        except OSError as error:
            # The files may be on another disk because this one is full.
            _log.warning(
                "%s cannot be written (%s): the next export takes these files for"
                " somebody else's, and needs --overwrite",
                self._path,
                error.strerror,
            )

    def _note(self, entries: dict[str, JsonObject]) -> None:
        write_json(self._path, {**self._written, **entries})
