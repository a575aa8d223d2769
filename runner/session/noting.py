"""What is noted of the files a run has written, and who may replace them.

Of two exports the one that began later has seen more, whichever is ready first: so
each file is noted with how much had been recorded when its export began. Notes are
read, files compared and replaced in turn (`export_turn`); lines are written before.
Apart from the manifest, which a running session holds.

Floor: the run.
"""

import contextlib
import dataclasses
import errno
import json
import logging
from collections.abc import Sequence
from pathlib import Path

from runner.checkpoint.locks import export_turn
from runner.config import Output
from runner.durable import write_bytes, write_json
from runner.errors import OutputError, StateDamaged
from runner.finalizer import check_targets, full_paths, ours_now
from runner.records import JsonObject
from runner.run_folder import EXPORTS, EXPORTS_ROOM

_FILES = 3
_FULL = (errno.ENOSPC, errno.EDQUOT)
_ROOM_BYTES = 64 * 1024
"""Two notes at once, the old one and the new one, of a hundred files each."""
_log = logging.getLogger("runner.exporting")


def files_of_ours(run_folder: Path) -> dict[str, JsonObject]:
    """Files this run wrote, by path: they may be replaced without asking."""
    try:
        stored: dict[str, JsonObject] = json.loads((run_folder / EXPORTS).read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise StateDamaged(f"{run_folder / EXPORTS} cannot be read: {error}") from error
    return stored


def set_room_aside(run_folder: Path) -> None:
    """Make sure that files can be noted when the disk is full by then; OSError.

    They may go to another disk, and are somebody else's to whom knows no note.
    """
    if not (run_folder / EXPORTS_ROOM).exists():
        write_bytes(run_folder / EXPORTS_ROOM, bytes(_ROOM_BYTES))


def as_allowed_now(run_folder: Path, own: Output) -> Output:
    """The run's own files: a start's `overwrite` holds until they are written once.

    From then on they are known, and what somebody makes of them is his.
    """
    if not own.overwrite:
        return own
    written = files_of_ours(run_folder)
    entries = [written[path] for path in full_paths(own) if path in written]
    is_written = any("before" not in entry for entry in entries)
    return dataclasses.replace(own, overwrite=not is_written)


def check_ours(
    run_folder: Path, output: Output, *, inputs: Sequence[Path]
) -> dict[str, JsonObject]:
    """Refuse targets that a run must not or cannot write; raises OutputError.

    Returns the files of this run, as they are noted. In turn: another export's file
    is never seen beside a note of before it.
    """
    with export_turn(run_folder):
        written = files_of_ours(run_folder)
        check_targets(output, inputs=inputs, written=written)
    return written


@dataclasses.dataclass(frozen=True, slots=True)
class MadeOf:
    """What the lines of an export are made of."""

    records: int
    """How many there were in all shards before the first line was read."""
    format: str


class Notes:
    """What one export notes of its files, before they are replaced and after.

    In between, each of them is the old one or the new one: killed there, both are
    this run's own.
    """

    def __init__(
        self,
        run_folder: Path,
        output: Output,
        known: dict[str, JsonObject],
        made_of: MadeOf,
        opened: contextlib.ExitStack,
    ) -> None:
        """Prepare to note; nothing is read yet.

        Args:
            run_folder: The run's folder.
            output: The three targets.
            known: What `check_ours` returned, before `made_of` was looked at.
            made_of: What the lines are made of: noted with each file.
            opened: Holds this export's turn, from `announce` until it is closed.
        """
        self._folder = run_folder
        self._output = output
        self._made_of = made_of
        self._opened = opened
        self._written = known
        self._new: dict[str, JsonObject] = {}

    def announce(self, new: dict[str, JsonObject]) -> bool:
        """The files are about to become these; False: they are to stay as they are.

        None of an export that began later is replaced. OutputError if what was asked
        for is not there either: one of the three, or the format.
        """
        self._opened.enter_context(export_turn(self._folder))
        known, self._written = self._written, files_of_ours(self._folder)
        before = ours_now(self._output, self._written)
        if self._is_overtaken(
            {
                path: each
                for path, each in before.items()
                if self._written[path] != known.get(path)
            }
        ):
            return False
        made_of = dataclasses.asdict(self._made_of)
        self._new = {path: {**each, **made_of} for path, each in new.items()}
        with contextlib.suppress(OSError):  # told once, where they have
            self._note(
                {
                    path: {**each, "before": before.get(path)}
                    for path, each in self._new.items()
                }
            )
        return True

    def confirm(self) -> None:
        """They have."""
        try:
            self._note(self._new)
        except OSError as error:
            # The files may be on another disk because this one is full.
            _log.warning(
                "%s cannot be written (%s): the next export takes these files for"
                " somebody else's, and needs --overwrite",
                self._folder / EXPORTS,
                error.strerror,
            )

    def _is_overtaken(self, meanwhile: dict[str, JsonObject]) -> bool:
        """Whether all three are there from a later beginning, as they were asked for.

        Of those written meanwhile only: the shards may be an older copy than the
        notes, put back by somebody, and have to be exported all the same.
        """
        newer = {
            path: each["format"]
            for path, each in meanwhile.items()
            if each.get("records", 0) > self._made_of.records  # older versions: none
        }
        if not newer:
            return False
        if list(newer.values()) == [self._made_of.format] * _FILES:
            return True
        path, its_format = next(iter(newer.items()))
        raise OutputError(
            f"{path} was written meanwhile by an export that began later (--format"
            f" {its_format}), and is kept",
            "do this again, or name another file with --out",
        )

    def _note(self, entries: dict[str, JsonObject]) -> None:
        noted = {**self._written, **entries}
        try:
            write_json(self._folder / EXPORTS, noted)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            (self._folder / EXPORTS_ROOM).unlink(missing_ok=True)
            write_json(self._folder / EXPORTS, noted)
