"""To whom does a worker talk? What a Client is told, free of secrets.

Floor: doors and rules. Knows nobody.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """Whom to call and for how long to wait; plain JSON, no key in it."""

    base_url: str
    organization: str | None
    """None: no such header, whatever the environment says by now."""
    project: str | None
    """Likewise."""
    timeout_s: float
    """Deadline of one call, connection and body included."""
    connections: int
    """At most, a descriptor for each; more only where more calls are under way."""
    run: str
    """Whose client it is, for messages."""
    obeys_proxies: bool = True
    """False: the server is the run's own, and no proxy's business."""
