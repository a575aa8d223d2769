"""A server of raw sockets that answers each request as it is told, by its id."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable

from fuzz.odd_responses import End, Odd

_NO_LINGER = struct.pack("ii", 1, 0)
_ID = b"x-client-request-id: "


class OddServer:
    """Runs until it is stopped; each connection has a thread."""

    def __init__(self, odd_for: Callable[[str], Odd]) -> None:
        self._odd_for = odd_for
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/v1"
        self.asked: list[str] = []
        """Ids of all requests, as they came."""
        self._over = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        """Take no connection more."""
        self._over.set()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(
                target=self._serve, args=(connection,), daemon=True
            ).start()

    def _serve(self, connection: socket.socket) -> None:
        # The client hangs up whenever it likes.
        with connection, contextlib.suppress(OSError):
            buffer = b""
            while True:
                while b"\r\n\r\n" not in buffer:
                    if not (piece := connection.recv(65536)):
                        return
                    buffer += piece
                header, _, buffer = buffer.partition(b"\r\n\r\n")
                buffer = self._answer(connection, header, buffer)

    def _answer(self, connection: socket.socket, header: bytes, rest: bytes) -> bytes:
        lines = header.lower().split(b"\r\n")
        if lines[0].startswith(b"get "):  # somebody looks whether we are there
            connection.sendall(b"HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n")
            return rest
        name = next(line for line in lines if line.startswith(_ID))[len(_ID) :].decode()
        length = next(line for line in lines if line.startswith(b"content-length: "))
        self.asked.append(name)
        odd = self._odd_for(name)
        missing = int(length.split()[1]) - len(rest)
        if odd.end is End.DEAF:
            _reset(connection)
        while missing > 0:
            piece = connection.recv(missing)
            if not piece:
                raise ConnectionResetError
            missing -= len(piece)
        self._send(connection, odd)
        return b""

    def _send(self, connection: socket.socket, odd: Odd) -> None:
        for piece in odd.pieces:
            if isinstance(piece, bytes):
                connection.sendall(piece)
            else:
                time.sleep(piece)
        if odd.end is End.KEEP:
            return
        if odd.end is End.HANG:
            connection.recv(1)
        if odd.end is End.RESET:
            _reset(connection)
        raise ConnectionResetError


def _reset(connection: socket.socket) -> None:
    """End with a TCP reset (socket(7), SO_LINGER)."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    connection.close()
    raise ConnectionResetError
