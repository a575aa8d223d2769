"""What lies where: runs in the state folder, files in a run's.

Floor: words.
"""

from pathlib import Path

STATE_DIR = Path("state")
"""Where runs live, unless told otherwise."""
INDEX = "items.index"
"""Where a run begins; the manifest says which file holds it by now."""
HEARTBEAT = "heartbeat.json"
REJECTED = "rejected.jsonl"
"""The same: both belong to one version of the items file."""
EXPORTS = "exports.json"
EXPORTS_ROOM = "exports.room"
"""Blocks set aside for the next EXPORTS, whatever fills the disk."""
LOG = "runner.log"
LOST = "lost.jsonl"
"""Only in a run that a salvage has made."""
STOP_REQUEST = "stop.request"
LEDGER = "simulator-ledger.jsonl"
LIMITS = "limits.cell"
MANIFEST = "manifest.json"
SHARDS = "shard-"
"""What the folders of shards begin with; their number follows."""
SUPERVISOR_SLOT = 0
"""The shard of outcomes that no worker wrote: poison, rejudged, removed."""


def folder_of(state_dir: Path, run: str) -> Path:
    """Where run `run` lives."""
    return state_dir / run
