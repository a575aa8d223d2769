"""Which boot of this machine is it? Monotonic clocks mean nothing in another.

Floor: the operating system. Knows nobody.
"""

import hashlib
import subprocess
import sys
from functools import cache
from pathlib import Path

_LINUX = Path("/proc/sys/kernel/random/boot_id")


@cache
def boot_id() -> bytes:
    """16 bytes that differ from boot to boot.

    Linux: the kernel's random boot id. macOS: `kern.bootsessionuuid`;
    `kern.boottime` would change whenever the wall clock is set. Elsewhere all
    boots look alike, and moments from another one are bounded by `mend()`.
    """
    return hashlib.blake2b(_words().encode(), digest_size=16).digest()


def _words() -> str:
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
