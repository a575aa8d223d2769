"""How many workers and threads a run gets.

Floor: the run. Pure, but for what the machine says of itself.
"""

import os
import resource
from dataclasses import dataclass

from runner.config import Pacing
from runner.errors import UsageError

DEFAULT_THREADS = 16
_FEWEST_WORKERS, _MOST_WORKERS = 2, 8
# Pipe, lock, cells, items, database and WAL, standard streams: 20 seen per worker,
# and one connection for each thread.
_DESCRIPTORS_BESIDE_CONNECTIONS = 32
_DESCRIPTORS_PER_WORKER_HERE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Concurrency:
    """Calls in flight at most: workers x threads."""

    workers: int
    threads: int


def concurrency_for(pacing: Pacing, items: int) -> Concurrency:
    """As told, else one worker a core; never more than there are items."""
    cores = os.cpu_count() or 1
    workers = pacing.workers or min(_MOST_WORKERS, max(_FEWEST_WORKERS, cores))
    threads = pacing.threads or DEFAULT_THREADS
    return Concurrency(
        workers=max(1, min(workers, items)), threads=max(1, min(threads, items))
    )


def check_descriptors(concurrency: Concurrency) -> None:
    """Raise the soft limit of open files as needed; UsageError if it is too low.

    Out of descriptors, calls fail in a way that looks like an outage.
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
