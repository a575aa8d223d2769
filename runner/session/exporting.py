"""Writing a run's files at any time: finished, stopped, dead or still going.

Floor: the run.
"""

import contextlib
import dataclasses
import time
from pathlib import Path

from runner.api_records import Progress
from runner.checkpoint.manifest import Manifest
from runner.checkpoint.reading import RunReader
from runner.checkpoint.undisturbed import Look, undisturbed
from runner.config import Format, Output, output_at, output_for
from runner.errors import RunChanged
from runner.finalizer import export
from runner.itemfile import ItemIndex
from runner.pricing import PriceBook
from runner.records import JsonObject
from runner.run_folder import SUPERVISOR_SLOT
from runner.session.noting import MadeOf, Notes, as_allowed_now, check_ours
from runner.summary import Summary
from runner.supervisor.heartbeat import read_status

WRITING = "writing files"


def export_run(
    run_folder: Path,
    *,
    processed_path: Path | None = None,
    in_format: Format = Format.JSONL,
    overwrite: bool = False,
    on_progress: Progress | None = None,
) -> Summary:
    """Write the processed, failed and summary files; takes no lock to read.

    Another format than the run's own goes into files of its own, where no path is
    given. Files of an export that began later are kept: the summary is `overtaken`
    then.

    Raises OutputError if a target must not be written, StateDamaged if an answer
    does not belong to its item, HalfJudged where a rejudgement is not finished.
    """

    def written(look: Look) -> Summary:
        manifest = Manifest.load(run_folder)
        manifest.refuse_half_judged()
        own = as_allowed_now(run_folder, manifest.config.output)
        output = _output(own, processed_path, in_format, overwrite=overwrite)
        return _write(run_folder, manifest, output, look, in_format, on_progress)

    return undisturbed(run_folder, written)


def _output(
    own: Output,
    processed_path: Path | None,
    in_format: Format,
    *,
    overwrite: bool,
) -> Output:
    """Where the three files go."""
    output = own
    if processed_path is not None:
        output = output_at(processed_path.absolute())
    elif in_format is not Format.JSONL:
        output = output_for(own, in_format)
    return dataclasses.replace(
        output, result_key=own.result_key, overwrite=output.overwrite or overwrite
    )


def _write(
    run_folder: Path,
    manifest: Manifest,
    output: Output,
    look: Look,
    in_format: Format,
    on_progress: Progress | None,
) -> Summary:
    """Write the files; Disturbed, before any is replaced, where that must not be."""
    config = manifest.config
    known = check_ours(run_folder, output, inputs=config.input_paths)
    status = read_status(run_folder)
    index = ItemIndex.open(run_folder / manifest.index)
    with contextlib.ExitStack() as opened:
        reader = look.open_reader(manifest)
        _hold_verdicts(run_folder, manifest, reader)
        # Before the first line is read: what comes later may be in none.
        made_of = MadeOf(reader.totals().records, in_format)
        notes = Notes(run_folder, output, known, made_of, opened)

        def ready(new: dict[str, JsonObject]) -> bool:
            look.end()
            return notes.announce(new)

        summary = export(
            run_folder=run_folder,
            manifest=manifest,
            index=index,
            reader=reader,
            output=output,
            in_format=in_format,
            state=status.state,
            stopped_because=status.stopped_because,
            price_source=PriceBook(config.service).describe(),
            now_unix_s=time.time(),
            on_ready=ready,
            on_progress=on_progress
            and (lambda done, total: on_progress(WRITING, done, total)),
        )
        if not summary.overtaken:
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
