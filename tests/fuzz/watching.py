"""What does a run use while it works? Memory, descriptors, WAL and log, by time."""

import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from runner.run_folder import LOG

_PSS = re.compile(r"^Pss_Anon:\s+(\d+) kB", re.MULTILINE)
"""Without files: the pages of a database that was read belong to the system."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One look."""

    at_s: float
    processes: int
    pss_kib: int
    """Anonymous memory of all processes of the run; shared pages count once."""
    descriptors: int
    wal_bytes: int
    """The largest of any shard."""
    log_bytes: int
    """All files of the log."""


class Watch:
    """Samples a run's process tree until told to stop."""

    def __init__(self, pid: int, run_folder: Path, every_s: float) -> None:
        self.samples: list[Sample] = []
        self._pid = pid
        self._folder = run_folder
        self._every_s = every_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def stop(self) -> None:
        """No more samples."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        begun_s = time.monotonic()
        while not self._over.wait(self._every_s):
            tree = [self._pid, *_children(self._pid)]
            self.samples.append(
                Sample(
                    at_s=time.monotonic() - begun_s,
                    processes=len(tree),
                    pss_kib=sum(map(_pss_kib, tree)),
                    descriptors=sum(map(_descriptors, tree)),
                    wal_bytes=max(_sizes(self._folder, "shard-*/*-wal"), default=0),
                    log_bytes=sum(_sizes(self._folder, f"{LOG}*")),
                )
            )


def slope_mib_an_hour(samples: list[Sample]) -> float:
    """By which a line through the samples' memory rises."""
    many = len(samples)
    mean_s = sum(sample.at_s for sample in samples) / many
    mean_kib = sum(sample.pss_kib for sample in samples) / many
    over = sum((s.at_s - mean_s) * (s.pss_kib - mean_kib) for s in samples)
    under = sum((s.at_s - mean_s) ** 2 for s in samples)
    return over / under * 3600 / 1024


def _children(pid: int) -> list[int]:
    """Its workers; none when it has just ended. Other threads start none."""
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(child) for child in listed.split()]


def _pss_kib(pid: int) -> int:
    try:
        found = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_text())
    except OSError:
        return 0
    return int(found[1]) if found else 0


def _descriptors(pid: int) -> int:
    try:
        return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return 0


def _sizes(folder: Path, pattern: str) -> list[int]:
    sizes = []
    for path in folder.glob(pattern):
        try:
            sizes.append(path.stat().st_size)
        except FileNotFoundError:
            continue  # rotated, or removed at the end
    return sizes
