"""Does that process still live, is it the same one, and is it the same boot?

A process number is given to another process later, and monotonic clocks mean
nothing in another boot of the machine.

Floor: words. Knows nobody.
"""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

_LINUX = Path("/proc/sys/kernel/random/boot_id")


def is_alive(pid: int) -> bool:
    """Whether there is a process of that number, whosever it is."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # somebody else's
    return True


def process_start(pid: int) -> str | None:
    """When process `pid` began, in the system's own unit; None if there is none."""
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text("ascii", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return None
        # Field 22 of proc(5); the name before it may hold spaces and brackets.
        state, *fields = stat.rpartition(")")[2].split()
        return None if state in "ZX" else fields[18]
    command = ["/bin/ps", "-o", "lstart=", "-p", str(pid)]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed command
    return shown.stdout.strip() or None


@cache
def boot_id() -> str:
    """A word that differs from boot to boot.

    Linux: the kernel's random boot id. macOS: `kern.bootsessionuuid`;
    `kern.boottime` would change whenever the wall clock is set. Elsewhere all
    boots look alike.
    """
    try:
        return _LINUX.read_text("ascii").strip()
    except OSError:
        return _darwin() if sys.platform == "darwin" else "unknown"


def _darwin() -> str:
    command = ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command by its full path
            command, capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()
