"""How many workers and calls under way a run gets: as told, or as much as there may be.

Floor: the run. Pure, but for what the machine says of itself.
"""

import math
import os
import resource
from dataclasses import dataclass
from pathlib import Path

from runner.config import Pacing
from runner.errors import UsageError
from runner.supervisor.governor import FIRST, MOST

MOST_THREADS = 512
"""In one worker. Half as many, and so more workers, is slower: 653 answers/s for 712,
with 1.2 times the CPU (two cores, up to 1,280 calls, medians of three)."""
_FEWEST_WORKERS, _MOST_WORKERS = 2, 8
_THREADS_WORTH_A_WORKER = 32
_LONG_JOB_ITEMS = 1_000
"""So many have a second worker from the beginning: it starts while the first answer
is waited for. A job of 3,000 that need a second each is over in 0.9 of the time."""
_FULL = 0.75
"""Of what its workers may have under way a run needs another one from here on: that
takes a second to start."""
_DESCRIPTORS_BESIDE_CONNECTIONS = 64
"""Shard, limiter, pipes, logs, name lookups, imports: about 40 at most in a worker;
and its connections at rest."""
_DESCRIPTORS_PER_WORKER_HERE = 4
_BYTES_A_CALL = 1 << 20
"""Of memory, thread, connection, item and answers on their way to the disk."""
_BYTES_A_WORKER = 128 << 20
_MEMORY_SHARE = 2
"""Half of what there is: others live here too."""
_CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Concurrency:
    """What workers and threads a run may have; the workers' calls are under way."""

    workers: int
    """At most."""
    threads: int
    """Of one worker, at most."""
    most: int
    """Calls under way at most, over all workers."""
    first: int | None = None
    """Calls under way at first, when their number is to be found; None: it is told."""
    usual_workers: int = 1
    """More only where these may not have as many calls under way as are wanted."""

    def workers_for(self, calls: int, items: int) -> int:
        """Workers for so many calls, where so many items are left.

        One process is enough for a few calls.
        """
        if self.first is None:
            return self.workers
        at_once = 1 if items < _LONG_JOB_ITEMS else 2
        for_speed = max(at_once, -(-calls // _THREADS_WORTH_A_WORKER))
        for_speed = min(self.usual_workers, for_speed)
        for_room = math.ceil(calls / (_FULL * self.threads))
        return max(1, min(self.workers, max(for_speed, for_room)))


def concurrency_for(pacing: Pacing, items: int) -> Concurrency:
    """As told; what is not told is found, within what machine and items allow."""
    usual = min(_MOST_WORKERS, max(_FEWEST_WORKERS, os.cpu_count() or 1))
    if pacing.threads is not None:
        workers = max(1, min(pacing.workers or usual, items))
        threads = max(1, min(pacing.threads, items))
        return Concurrency(workers=workers, threads=threads, most=workers * threads)
    memory_bytes = _memory_bytes() // _MEMORY_SHARE
    threads = max(1, min(MOST_THREADS, _most_connections()))
    if pacing.workers is None:
        room = max(1, memory_bytes // _BYTES_A_WORKER)
        usual = min(usual, room)
        # More than one a core only where one may not have enough calls under way.
        workers = min(_MOST_WORKERS, room, max(usual, math.ceil(MOST / threads)))
    else:
        usual = workers = pacing.workers
    workers = max(1, min(workers, items))
    fits = max(FIRST, memory_bytes // _BYTES_A_CALL)
    most = min(MOST, fits, workers * threads, items)
    return Concurrency(
        workers=workers,
        threads=threads,
        most=max(1, most),
        first=max(1, min(FIRST, most)),
        usual_workers=min(usual, workers),
    )


def check_descriptors(concurrency: Concurrency) -> None:
    """Raise the soft limit of open files as needed; UsageError if it is too low.

    Workers inherit it. Out of descriptors, calls fail in a way that looks like an
    outage (29 of 60 threads at a limit of 64).
    """
    needed = max(
        concurrency.threads + _DESCRIPTORS_BESIDE_CONNECTIONS,
        concurrency.workers * _DESCRIPTORS_PER_WORKER_HERE
        + _DESCRIPTORS_BESIDE_CONNECTIONS,
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= needed or soft == resource.RLIM_INFINITY:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise UsageError(
            f"{needed} open files are needed for {concurrency.threads} threads per"
            f" worker, but this system allows {hard}",
            "raise it with `ulimit -n`, or use fewer --threads and more --workers",
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _most_connections() -> int:
    """Connections that the open files of one process are enough for."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY:
        return MOST_THREADS
    return hard - _DESCRIPTORS_BESIDE_CONNECTIONS


def _memory_bytes() -> int:
    """What this machine has, or the container that we are in."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in _CGROUP_LIMITS:
        try:
            limit = path.read_text(encoding="ascii").strip()
        except OSError:
            # No such cgroup, or no cgroups: nothing is limited by it.
            continue
        if limit.isdecimal():
            found.append(int(limit))
    return min(found)
