"""The last sign of life of a run, for any terminal, also after its death.

Written once a second by the supervisor, read by `status` together with the totals
in the shards, which are exact even after SIGKILL.

Floor: the run.
"""

import dataclasses
import json
import os
from pathlib import Path

from runner.checkpoint.anew import is_due, load_due
from runner.checkpoint.locks import Owner, owner_of
from runner.checkpoint.manifest import Manifest
from runner.checkpoint.reading import RunReader
from runner.checkpoint.undisturbed import Look, undisturbed
from runner.durable import is_unaltered, with_checksum
from runner.errors import StateDamaged
from runner.records import JsonObject, Totals
from runner.run_folder import HEARTBEAT
from runner.run_status import Pace, RunState, RunStatus, SlowItem

_BLOCK_BYTES = 4096
"""What even the shortest file takes of a disk; a heartbeat is about 1,500 bytes."""
NOT_NEEDED = "delete it: no number of the run depends on it"
_ENDED = (RunState.STOPPED, RunState.FINISHED)


def write_heartbeat(run_folder: Path, status: RunStatus) -> None:
    """Replace the heartbeat; not synced: a second's sign of life may be lost."""
    path = run_folder / HEARTBEAT
    temp = path.with_suffix(".tmp")
    descriptor = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(_stored(status))
    temp.replace(path)


def write_last_words(run_folder: Path, status: RunStatus) -> None:
    """The heartbeat of a session that has ended, also on a full disk.

    There the file is written over where it stands: its block is its own already.
    Raises OSError if that is not possible either.
    """
    try:
        write_heartbeat(run_folder, status)
    except OSError:
        with (run_folder / HEARTBEAT).open("r+b") as stream:
            stream.write(_stored(status).ljust(_BLOCK_BYTES))


def _stored(status: RunStatus) -> bytes:
    stored = status.to_json()
    del stored["items"], stored["requests"], stored["tokens"]
    stored["records"] = status.totals.records
    stored["anew"] = status.anew
    stored["at_rest"] = status.unresolved + status.totals.lost
    stored["pid"] = os.getpid()
    stored["pace"] = dataclasses.asdict(status.pace)
    return json.dumps(with_checksum(stored)).encode("ascii")


def read_status(run_folder: Path) -> RunStatus:
    """One look at a run, live or dead; takes no lock, writes nothing.

    Raises RunNotFound, StateDamaged or StateTooNew.
    """
    return undisturbed(run_folder, lambda look: _status(run_folder, look))


def _status(run_folder: Path, look: Look) -> RunStatus:
    Manifest.load(run_folder)  # what is no run, or too new, is told as that
    beat = _read(run_folder)
    manifest = Manifest.load(run_folder)  # lists all that the heartbeat counts
    is_alive = look.is_worked_on
    owner = owner_of(run_folder) if is_alive else None
    reader = look.open_reader(manifest)
    totals = reader.totals()
    check_told(run_folder, beat.get("records", 0), totals)
    told = beat if owner and _is_by(owner, beat) else {}
    """What the session at work says of itself: nothing before its first second."""
    last = told if is_alive else beat
    is_new = not (beat or is_alive or reader.has_begun())
    anew = told["anew"] if told else _due(run_folder, manifest, reader)
    unresolved = _unresolved(told, totals) if told else totals.open
    rate = told.get("rate", {})
    return RunStatus(
        run=manifest.run,
        state=RunState.NEW
        if is_new
        else _state(last, is_alive=is_alive, is_left=manifest.items > totals.done),
        stopped_because=last.get("stopped_because"),
        items=manifest.items,
        totals=totals,
        unresolved=unresolved,
        in_flight=totals.open - unresolved,
        in_flight_target=told.get("in_flight_target"),
        requests_per_minute=rate.get("requests_per_minute"),
        tokens_per_minute=rate.get("tokens_per_minute"),
        pace=Pace(**told.get("pace", {})),
        eta_s=told.get("eta_s"),
        started_unix_s=last.get("started_unix_s", owner and owner.started_unix_s),
        heartbeat_unix_s=last.get("heartbeat_unix_s"),
        simulated=manifest.config.service.simulated,
        is_half_judged=manifest.is_half_judged,
        slowest=_slowest(told),
        anew=anew,
    )


def check_last_sign(run_folder: Path, totals: Totals) -> None:
    """StateDamaged if less is there than when this run last gave a sign of life.

    Between two high-water marks of the manifest, which are a minute apart. Only for a
    run that nobody works on: of one at work, `records_told` comes first.
    """
    check_told(run_folder, records_told(run_folder), totals)


def records_told(run_folder: Path) -> int:
    """How many records there were at the last sign of life; StateDamaged."""
    told: int = _read(run_folder).get("records", 0)
    return told


def began_unix_s(run_folder: Path) -> float | None:
    """When the session began that gave the last sign of life; StateDamaged."""
    began: float | None = _read(run_folder).get("started_unix_s")
    return began


def check_told(run_folder: Path, told: int, totals: Totals) -> None:
    """StateDamaged if there are less records than `records_told` gave before.

    Before the manifest was read, too: else it may count a shard that is not listed.
    """
    if totals.records < told:
        raise StateDamaged(
            f"{run_folder.name} was given {told:,} records, but shows only"
            f" {totals.records:,}"
        )


def _unresolved(told: JsonObject, totals: Totals) -> int:
    """Open attempts that no living process is at work on.

    Totals are newer than the heartbeat. Asked again, an unresolved attempt becomes a
    lost one, so both together change only with a death, whatever is in flight.
    """
    at_rest: int = told["at_rest"]
    return max(0, min(totals.open, at_rest - totals.lost))


def _is_by(owner: Owner, beat: JsonObject) -> bool:
    """Whether the session that holds the run has given that sign of life.

    A process number alone is used again, in containers at once.
    """
    begun_unix_s = beat.get("started_unix_s") or 0.0
    return beat.get("pid") == owner.pid and begun_unix_s >= owner.started_unix_s


def _due(run_folder: Path, manifest: Manifest, reader: RunReader) -> int:
    """Items that an interrupted retry has not come to."""
    due = load_due(run_folder, manifest.asking_anew)
    found = (reader.outcome(number) for number in due)
    return sum(is_due(each[0], due) for each in found if each)


def _read(run_folder: Path) -> JsonObject:
    path = run_folder / HEARTBEAT
    try:
        beat: JsonObject = json.loads(path.read_bytes() or b"{}")
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:
        raise _damaged(path, error) from error
    if not isinstance(beat, dict):
        raise _damaged(path, "not an object")
    # Never synced: after power loss it may be empty, and then it is no sign of life.
    if beat and not is_unaltered(beat):
        raise _damaged(path, "its checksum is wrong")
    return beat


def _damaged(path: Path, why: object) -> StateDamaged:
    return StateDamaged(f"{path} is damaged: {why}", NOT_NEEDED)


def _state(last: JsonObject, *, is_alive: bool, is_left: bool) -> RunState:
    told = RunState(last["state"]) if last else RunState.DEAD
    if is_alive:
        return RunState.DRAINING if told is RunState.DRAINING else RunState.RUNNING
    if told is RunState.FINISHED and is_left:
        return RunState.STOPPED  # before it went on with changed items
    return told if told in _ENDED else RunState.DEAD


def _slowest(beat: JsonObject) -> tuple[SlowItem, ...]:
    return tuple(SlowItem(**item) for item in beat.get("slowest", ()))
