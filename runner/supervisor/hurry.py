"""Does this session's whole job fit into what the server has left?

Asked once, as soon as something has answered: then there are headers, if ever. The
last minutes of a long run are not hurried; who paced well all night need not end it
with a refusal.

Floor: the run. Knows the limiter.
"""

import logging

from runner.limiter import Limiter

_log = logging.getLogger("runner.supervisor")


class Hurry:
    """Looks until it is decided."""

    def __init__(self, limiter: Limiter, limit: int | None) -> None:
        """`limit`: items that this session may finish; None: all."""
        self._limiter = limiter
        self._limit = limit
        self._is_decided = False

    def look(self, left: int) -> None:
        """`left`: items without an outcome."""
        if self._is_decided:
            return
        requests = left if self._limit is None else min(left, self._limit)
        is_hurried = self._limiter.hurry(requests)
        self._is_decided = is_hurried is not None
        if is_hurried:
            _log.info("all %d items fit into what the server has left", requests)
