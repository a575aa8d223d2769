"""Why a session ends early: as a worker told it, for want of disk, or by a signal.

Floor: the run.
"""

import shutil
from pathlib import Path

from runner.records import JsonObject
from runner.run_status import Stop, StopKind
from runner.supervisor.stop_request import take_stop_request

_MOST_KEPT_FREE_BYTES = 1 << 30
_KEPT_FREE_SHARE = 20  # a twentieth of the disk


def stop_of(stored: JsonObject) -> Stop:
    """What a worker told."""
    return Stop(
        kind=StopKind(stored["kind"]), message=stored["message"], hint=stored["hint"]
    )


def want_of_room(folder: Path, told_bytes: int | None) -> str | None:
    """What to say where the disk of `folder` has less than is to be kept free.

    `told_bytes`: how much that is; None: the smaller of 1 GiB and 5 %.
    """
    usage = shutil.disk_usage(folder)
    keep = told_bytes
    if keep is None:
        keep = min(_MOST_KEPT_FREE_BYTES, usage.total // _KEPT_FREE_SHARE)
    if usage.free >= keep:
        return None
    left, kept = _size(usage.free), _size(keep)
    if left == kept:
        left, kept = f"{usage.free:,} bytes", f"{keep:,} bytes"
    return f"the disk of {folder} has {left} left, less than the {kept} to keep free"


def disk_stop(message: str) -> Stop:
    """No room, or none that is enough."""
    return Stop(
        kind=StopKind.DISK,
        message=message,
        hint="make room (or lower --min-free), then `runner resume`",
    )


def stop_by(kind: StopKind, run_folder: Path) -> Stop:
    """Somebody said so, in one of three ways."""
    said = "Ctrl-C" if kind is StopKind.INTERRUPTED else "SIGTERM"
    if kind is StopKind.TERMINATED and take_stop_request(run_folder):
        said = "`runner stop`"
    return Stop(kind=kind, message=f"stopped by {said}")


def _size(size_bytes: int) -> str:
    """Rounded down, in the largest unit of which there is one."""
    for shift, unit in ((20, "MiB"), (10, "KiB")):
        if size_bytes >> shift:
            return f"{size_bytes >> shift} {unit}"
    return f"{size_bytes} bytes"
