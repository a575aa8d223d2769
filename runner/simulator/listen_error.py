"""Why the simulator cannot listen, apart from aiohttp, so that it can be told.

Floor: simulator. Knows nobody.
"""


class ListenError(Exception):
    """The address cannot be had: one line saying which, and why."""
