"""How does a request travel where a proxy stands in between?

By the SDK's own HTTP layer, which knows tunnels, SOCKS and logins; one connection
each.

Floor: doors and rules. Knows flights and the wire's keep-alive.
"""

import ssl
from types import SimpleNamespace
from typing import Any

import httpx2

from runner.client.flights import Flight, HeldBack
from runner.client.wire import KEEPALIVE_S

_NOTHING_READ = SimpleNamespace(trailing_data=(b"", False))
"""As h11.Connection tells it."""


class ThroughProxy:
    """A connection that the SDK's HTTP layer makes: tunnels, SOCKS, logins."""

    def __init__(self, tls: ssl.SSLContext, proxy: httpx2.Proxy) -> None:
        one = httpx2.Limits(
            max_connections=1,
            max_keepalive_connections=1,
            keepalive_expiry=KEEPALIVE_S,
        )
        self._transport = httpx2.HTTPTransport(
            verify=tls, limits=one, proxy=proxy, retries=0
        )
        self._has_held_back = False
        self._parser: Any = _NOTHING_READ

    @property
    def is_kept(self) -> bool:
        """Whether nothing was read beyond the answer; one that is gone is made anew.

        What was is in the parser, and would be the answer to the next question.
        """
        return self._parser is not None and not self._parser.trailing_data[0]

    def handle_request(
        self, request: httpx2.Request, flight: Flight
    ) -> httpx2.Response:
        """Send; the reply's head is there, its body still to be read."""
        # Before it connects, which may take seconds, and once more when the request's
        # own headers go. That costs the connection; so not twice in a row, or a proxy
        # that takes longer to connect than a permit lasts would carry nothing.
        flight.look_before_going()
        flight.looks_again, self._has_held_back = not self._has_held_back, False
        request.extensions = {**request.extensions, "trace": flight.observe}
        # Whatever fails takes the connection with it.
        self._parser = _NOTHING_READ
        try:
            response = self._transport.handle_request(request)
        except HeldBack:
            self._has_held_back = True
            raise
        self._parser = _parser_of(response)
        return response

    def close(self) -> None:
        """Let go of the connection."""
        self._transport.close()


def _parser_of(response: httpx2.Response) -> Any:
    """The h11.Connection that reads it; None: not found, and so not kept.

    Of what was read and belongs to no answer the layers above it tell nobody.
    """
    found: Any = response.stream
    for name in ("_httpcore_stream", "_stream", "_connection", "_h11_state"):
        found = getattr(found, name, None)
    return found
