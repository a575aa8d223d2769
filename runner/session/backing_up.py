"""A copy of a run that can be gone on with, also while the run goes on.

Every shard is copied as it was at one moment; first its rescue file, so that no reply
is in it whose attempt the copy does not know. The copy's manifest is marked with
what the copy holds: it claims no more. Read again, it is only then given its name.

Floor: the run.
"""

import contextlib
import os
import shlex
import shutil
import sqlite3
import tempfile
from pathlib import Path

from runner.api_records import BackedUp, Progress
from runner.checkpoint.manifest import Manifest
from runner.checkpoint.rescue import RESCUE
from runner.checkpoint.shard import shard_folder
from runner.checkpoint.store import DATABASE
from runner.checkpoint.undisturbed import Look, undisturbed
from runner.durable import make_private_folder, open_private, sync_folder
from runner.errors import OutputError, StateDamaged
from runner.run_folder import EXPORTS, HEARTBEAT, LOST
from runner.session.verifying import verify_run

_TRIES = 3
"""Items may pass from one shard to another while the shards are looked at."""


def back_up(
    run_folder: Path, target: Path, *, on_progress: Progress | None = None
) -> BackedUp:
    """Copy the run to `target`, which must not exist; complete, or not there at all.

    Raises OutputError for the target, StateDamaged if the run is not sound.
    """
    if os.path.lexists(target):
        raise OutputError(f"{target} exists", "name a folder that does not")
    if run_folder.parent.resolve() in target.parent.resolve().joinpath("_").parents:
        raise OutputError(
            f"{target} is inside the state folder, where it would be a run like others",
            "name a folder elsewhere",
        )
    if not target.parent.is_dir():
        raise OutputError(
            f"the folder of {target} does not exist",
            f"create it (mkdir -p {shlex.quote(str(target.parent))}), or name another",
        )
    try:
        temp = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise _not_written(target, error) from error
    try:
        copy = _sound_copy(run_folder, temp, on_progress)
        (temp / "run").rename(target)
        sync_folder(target.parent)
    except (OSError, sqlite3.Error) as error:
        raise _not_written(target, error) from error
    finally:
        shutil.rmtree(temp, ignore_errors=True)
    return BackedUp(
        folder=target,
        attempts=copy.attempts,
        outcomes=copy.outcomes,
        open=copy.open,
    )


def _sound_copy(run_folder: Path, temp: Path, on_progress: Progress | None) -> BackedUp:
    """A copy that was read again and is sound; StateDamaged if there is none."""
    why = ""
    folder = temp / "run"
    for _ in range(_TRIES):
        open_ = undisturbed(run_folder, lambda look: _copy(run_folder, folder, look))
        if open_ is None:
            why = "it is being judged anew"
            continue
        found = verify_run(folder, on_progress=on_progress)
        if found.is_sound:
            return BackedUp(
                folder=folder,
                attempts=found.attempts,
                outcomes=found.outcomes,
                open=open_,
            )
        why = found.damage[0].what
    raise StateDamaged(f"{run_folder} is not sound: {why}", "see `runner verify`")


def _copy(run_folder: Path, folder: Path, look: Look) -> int | None:
    """Write the copy; how many requests were under way, None: a copy of two states."""
    shutil.rmtree(folder, ignore_errors=True)  # one that is not sound
    make_private_folder(folder)
    manifest = Manifest.load(run_folder)
    _copy_small_files(run_folder, folder, manifest, look)
    reader = look.open_reader(manifest)
    reader.hold_still()
    if not Manifest.load(run_folder).is_judged_as(manifest):
        return None
    for slot, shard in reader.shards.items():
        path = shard_folder(folder, slot) / DATABASE
        os.close(open_private(path))  # SQLite would make it readable for all
        with contextlib.closing(sqlite3.connect(path)) as target:
            shard.copy_to(target)
    totals = reader.totals_by_slot()
    manifest.with_marks(totals).save(folder)
    for slot in manifest.shards:
        sync_folder(shard_folder(folder, slot))
    return sum(each.open for each in totals.values())


def _copy_small_files(
    run_folder: Path, folder: Path, manifest: Manifest, look: Look
) -> None:
    """What stands beside the shards, but for the manifest; also the rescue files."""
    names = {manifest.index, manifest.rejected, manifest.asking_anew}
    names |= {manifest.held_back, EXPORTS, LOST}
    if not look.is_live:
        names.add(HEARTBEAT)  # of a live run it would be newer than the copy
    for name in filter(None, names):
        _copy_file(run_folder / name, folder / name)
    for slot in manifest.shards:
        make_private_folder(shard_folder(folder, slot))
        source = shard_folder(run_folder, slot) / RESCUE
        _copy_file(source, shard_folder(folder, slot) / RESCUE)


def _copy_file(source: Path, target: Path) -> None:
    """Copy a small file durably; one that is not there stays so."""
    try:
        content = source.read_bytes()
    except FileNotFoundError:
        return
    descriptor = open_private(target)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _not_written(target: Path, error: Exception) -> OutputError:
    why = error.strerror if isinstance(error, OSError) else error
    return OutputError(f"{target} cannot be written ({why or error})", "see the disk")
