"""Where the cell of a key lies.

Floor: doors and rules. Paths. Knows nobody.
"""

import hashlib
import json
import os
import platform
from pathlib import Path


def key_cell_path(
    base_url: str,
    api_key: str,
    organization: str | None,
    project: str | None,
    model: str | None,
) -> Path:
    """Path of the cell all runs on this key and model share.

    `$XDG_STATE_HOME/runner/limits`, by default below `~/.local/state` (XDG Base
    Directory Specification: a relative value is ignored). The name is a keyed
    digest, so that it neither shows the key nor confirms a guess of one; the host
    is part of it because a clock and a lock are good on one machine only, and home
    folders are shared.
    """
    what = json.dumps(
        [base_url.rstrip("/"), organization, project, model, platform.node()]
    )
    secret = hashlib.blake2b(api_key.encode(), person=b"runner-key").digest()
    digest = hashlib.blake2b(
        what.encode(), key=secret, digest_size=16, person=b"runner-limits-1"
    )
    return _state_home() / "runner" / "limits" / f"{digest.hexdigest()}.cell"


def _state_home() -> Path:
    named = os.environ.get("XDG_STATE_HOME", "")
    if named and Path(named).is_absolute():
        return Path(named)
    return Path.home() / ".local" / "state"
