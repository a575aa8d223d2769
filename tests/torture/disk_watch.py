"""Python's hand on `disk_calls.c`: built, preloaded, armed in a forked process."""

import ctypes
import enum
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

_SOURCE = Path(__file__).with_name("disk_calls.c")
_PRELOAD = "LD_PRELOAD"
_NONE = -1


class How(enum.IntEnum):
    """What happens at the point, as in `disk_calls.c`."""

    COUNT = 0
    KILL_BEFORE = 1
    KILL_AFTER = 2
    KILL_TORN = 3
    """Killed with half of a write done."""
    FAIL_ONCE = 4
    FAIL_FROM = 5
    """This call fails, and all after it."""
    WRITE_DOWN = 6


@dataclass(frozen=True)
class Watch:
    """What to do to the calls of one process, below `folder`."""

    folder: Path
    how: How = How.COUNT
    point: int = 0
    error: int = 0
    log: Path | None = None
    counted: Path | None = None

    def begin(self) -> None:
        """From now on, in this process; it needs the preloaded library."""
        library = ctypes.CDLL(os.environ[_PRELOAD])
        library.torture_arm(
            os.fsencode(f"{self.folder}/"),
            int(self.how),
            ctypes.c_long(self.point),
            self.error,
            _opened(self.log),
            _opened(self.counted),
        )


def mark(what: str) -> None:
    """Write down, between the calls, that something was promised now."""
    ctypes.CDLL(os.environ[_PRELOAD]).torture_mark(what.encode("ascii"))


def calls_in(counted: Path) -> int:
    """How many calls a watch has counted."""
    return int.from_bytes(counted.read_bytes(), sys.byteorder)


def preloaded(module: str) -> None:
    """Have the library in this process: executes `python -m module` anew for it."""
    if os.environ.get(_PRELOAD):
        return
    library = Path(tempfile.mkdtemp(prefix="torture-")) / "disk_calls.so"
    command = ["cc", "-shared", "-fPIC", "-O2", "-o", str(library), str(_SOURCE)]
    subprocess.run([*command, "-ldl", "-lpthread"], check=True)
    os.environ[_PRELOAD] = str(library)
    os.execv(sys.executable, [sys.executable, "-m", module, *sys.argv[1:]])


def _opened(path: Path | None) -> int:
    if path is None:
        return _NONE
    return os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
