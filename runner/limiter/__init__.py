"""May this request be sent now? For all threads, processes and runs on a key.

    permits    what is asked and answered       limiter   the door, threads and waiting
    admission  the decision: yes, later, no     settling  what follows from each end
    pacing     GCRA                             window    what a minute holds of ours
    refill     may the even pace be the very rate         bursts  may a short job fire
    headers    what servers say of limits       learning  what we make of it
    belief     how long a limit is believed     cause     do 429s come from our pace
    throttle   429s: pause, slow down           daily     limits per day
    breaker    outages                          budget    dollars, by slot
    cell       bytes shared through a file      flock     one try, never a wait
    pair       both cells and waiting for them  gate      the line of threads
    keystate   the key's cell, taken apart      runstate  the run's
    session    for the supervisor               words     for `status`
    place      where a key's cell lies

Floor: doors and rules. Knows records, errors and the clock.
"""

from runner.limiter.limiter import Limiter
from runner.limiter.permits import (
    STALE_AFTER_S,
    LimiterPlace,
    Permit,
    Refusal,
    RefusalKind,
    RunCeilings,
    Want,
)
from runner.limiter.place import key_cell_path
from runner.limiter.session import begin_session, rebuild_slot

__all__ = [
    "STALE_AFTER_S",
    "Limiter",
    "LimiterPlace",
    "Permit",
    "Refusal",
    "RefusalKind",
    "RunCeilings",
    "Want",
    "begin_session",
    "key_cell_path",
    "rebuild_slot",
]
