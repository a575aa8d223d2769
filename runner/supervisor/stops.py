"""Why a session ends early: as a worker told it, for want of disk, or by a signal.

Floor: the run.
"""

from pathlib import Path

from runner.records import JsonObject, Stop, StopKind
from runner.supervisor.stop_request import take_stop_request


def stop_of(stored: JsonObject) -> Stop:
    """What a worker told."""
    return Stop(
        kind=StopKind(stored["kind"]), message=stored["message"], hint=stored["hint"]
    )


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
