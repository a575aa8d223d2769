"""Is the door open?

Owns the listening socket: opening it, and closing it for an outage that refuses
connections, so that a client learns `connection refused` from the kernel.

Floor: simulator. Knows aiohttp.
"""

import asyncio
import socket
import sys

from aiohttp import web

from runner.simulator.listen_error import ListenError

_BACKLOG = 4096
"""Connections the kernel queues while a thousand clients arrive at once."""

_FAREWELL_S = 0.2


class Door:
    """One port, open or shut."""

    def __init__(self, server: web.Server, host: str, port: int) -> None:
        self._server = server
        self._host = host
        self._placeholder = _bound(host, port)
        self.port: int = self._placeholder.getsockname()[1]
        self._listening: asyncio.Server | None = None
        if sys.platform != "linux":
            self._placeholder.close()

    @property
    def address(self) -> str:
        """Scheme, host and port."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}"

    async def open(self) -> None:
        """Accept connections."""
        if self._listening is None:
            loop = asyncio.get_running_loop()
            self._listening = await loop.create_server(
                self._server,
                sock=_bound(self._host, self.port),
                backlog=_BACKLOG,
            )

    async def shut(self, busy: set[web.RequestHandler]) -> None:
        """Refuse connections; close idle ones now, busy ones after their reply."""
        self._shut(busy)
        await asyncio.sleep(0)  # a transport closes its socket in the next turn

    def see_off(self, connection: web.RequestHandler) -> None:
        """Close a connection that was busy when the door was shut.

        Once its reply has had time to leave: a request that came behind it would
        otherwise be neither answered nor cut off.
        """
        if self._listening is None:
            loop = asyncio.get_running_loop()
            loop.call_later(_FAREWELL_S, connection.force_close)

    def release(self) -> None:
        """Close everything and give the port back."""
        self._shut(set())
        self._placeholder.close()

    def _shut(self, busy: set[web.RequestHandler]) -> None:
        if self._listening is None:
            return
        self._listening.close()
        self._listening = None
        for connection in self._server.connections:
            if connection in busy:
                connection.close()
            else:
                connection.force_close()


def _bound(host: str, port: int) -> socket.socket:
    """A socket bound to the port, not listening; ListenError if it cannot be had.

    On Linux one of them is kept for good: while the door is shut nobody else can
    take the port, nor can a client that dials it be given it as its own address
    and so connect to itself.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        where = f"port {port} of {host}" if port else host
        raise ListenError(
            f"cannot listen on {where}: {error.strerror or error}"
        ) from error
    return sock
