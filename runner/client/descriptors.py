"""May this process open a connection for every thread?

Every connection is a descriptor. Where they run out, connecting fails in a way
that looks like an outage (29 of 60 threads at a limit of 64).

Floor: doors and rules. Knows errors.
"""

import resource

from runner.errors import UsageError

_OWN_DESCRIPTORS = 64
"""Shard, limiter, pipes, logs, name lookups, imports: about 40 at most."""


def ensure_descriptors(connections: int) -> None:
    """Raise the soft limit as far as needed.

    Raises:
        UsageError: The hard limit does not allow that many.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OWN_DESCRIPTORS
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (ValueError, OSError) as error:
        raise UsageError(
            f"{connections} calls at once need {wanted} open files, "
            f"the system allows {hard}",
            hint="lower --threads, or raise `ulimit -n`",
        ) from error
