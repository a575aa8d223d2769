"""The totals once more, from every record: the slow way, to check the fast one.

Floor: doors and rules.
"""

from runner.checkpoint.accounting import (
    Delta,
    add,
    as_totals,
    carried_delta,
    delta_of_attempt,
    delta_of_outcome,
)
from runner.checkpoint.reading import RunReader
from runner.records import Totals


def recount(reader: RunReader) -> Totals:
    """What all records of a run add up to; equal to `reader.totals()`, or damage.

    Reads everything: about 25,000 records a second. Raises StateDamaged for a
    record that was altered.
    """
    totals: Delta = {}
    for attempt, _ in reader.all_attempts():
        add(totals, delta_of_attempt(attempt))
    for outcome, _ in reader.outcomes():
        add(totals, delta_of_outcome(outcome))
    add(totals, carried_delta(reader.carried()))
    return as_totals(totals)
