"""One past, several futures: at a turn the whole night is forked.

A night is one operating-system process with one thread: `fork` copies all of it, the
simulated processes with everything they hold in memory. What they hold in files it
does not copy, so the copy goes on in a folder of its own. Whoever is forked here has
its folder as its working directory, and names it by that (`HERE`).
"""

import ctypes
import fcntl
import os
import shutil
import signal
import tempfile
import traceback
from pathlib import Path

from nights.plan import FAMILY

HERE = Path("/proc/self/cwd")
"""The working directory of whoever asks: the same name in each fork."""
_MAPPED = ".cell"
"""Files changed through a shared mapping: a copy would be seen by new readers only."""
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Futures:
    """The nights of one family that this process still stands for."""

    def __init__(self, seeds: list[int]) -> None:
        self.seeds = seeds
        self._way = ""

    def part(self) -> str:
        """Take a turn, forking where both ways are wanted; all turns taken so far."""
        bit = FAMILY >> len(self._way) + 1
        one = [seed for seed in self.seeds if not seed & bit]
        other = [seed for seed in self.seeds if seed & bit]
        is_one = bool(one) and (not other or goes_first())
        self.seeds = one if is_one else other
        self._way += "0" if is_one else "1"
        return self._way


def goes_first() -> bool:
    """Be two: True in a copy of this process, False in this one, when that is over."""
    here = Path.cwd()
    there = Path(tempfile.mkdtemp(prefix="turn-", dir=here.parent))
    mapped = {path: path.read_bytes() for path in here.rglob(f"*{_MAPPED}")}
    shutil.copytree(here, there, dirs_exist_ok=True, copy_function=_copied)
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        shutil.rmtree(there)
        for path, content in mapped.items():
            _written_back(path, content)
        return False
    try:
        _move(here, there)
    except BaseException:  # noqa: BLE001 - half a copy tells nothing, and is missed
        traceback.print_exc()
        os._exit(1)
    return True


def _copied(source: str, target: str) -> None:
    if source.endswith(_MAPPED):
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def _written_back(path: Path, content: bytes) -> None:
    """As it was, under the mappings of it."""
    with path.open("r+b") as file:
        file.truncate(len(content))
        file.write(content)


def _move(here: Path, there: Path) -> None:
    """What is open in one folder is opened in the other: same number, place, lock."""
    # Whoever waits for a family, or kills it, knows its first process only.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.chdir(there)
    for entry in list(Path("/proc/self/fd").iterdir()):
        if not entry.is_symlink():
            continue  # the listing's own, closed by now
        target = entry.readlink()
        # What is deleted nobody else can reach.
        if target.is_relative_to(here) and not target.name.endswith(" (deleted)"):
            _replace(int(entry.name), there / target.relative_to(here))


def _replace(descriptor: int, path: Path) -> None:
    about = Path(f"/proc/self/fdinfo/{descriptor}").read_text()
    opened = os.open(path, fcntl.fcntl(descriptor, fcntl.F_GETFL))
    os.lseek(opened, os.lseek(descriptor, 0, os.SEEK_CUR), os.SEEK_SET)
    if "FLOCK" in about:
        kind = fcntl.LOCK_EX if " WRITE " in about else fcntl.LOCK_SH
        fcntl.flock(opened, kind | fcntl.LOCK_NB)
    os.dup2(opened, descriptor, inheritable=False)
    os.close(opened)
