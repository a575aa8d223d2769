"""A server of raw sockets that does exactly what a test says, and records it."""

import json
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from runner.client import Client
from runner.records import PATHS, Endpoint, Reply, Request

KEY = "sk-test-0123456789abcdef"
WAIT_S = 10.0
"""How long a test waits for what must come at once."""


@dataclass
class Received:
    """One request as it was on the wire."""

    line: str
    headers: dict[str, str]
    body: bytes


class Line:
    """A server's end of one connection."""

    def __init__(self, connection: socket.socket, requests: list[Received]) -> None:
        self._connection = connection
        self._requests = requests
        self._buffer = b""

    def request(self) -> Received | None:
        """Read one request; None when the client has gone."""
        while b"\r\n\r\n" not in self._buffer:
            if not self.more():
                return None
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = [line.split(": ", 1) for line in lines]
        headers = {name.lower(): value for name, value in pairs}
        length = int(headers["content-length"])
        while len(self._buffer) < length:
            if not self.more():
                return None
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        received = Received(first, headers, body)
        self._requests.append(received)
        return received

    def send(self, content: bytes) -> bool:
        """Send; False when the client has gone."""
        try:
            self._connection.sendall(content)
        except OSError:
            return False
        return True

    def upgrade(self, context: ssl.SSLContext) -> bool:
        """Speak TLS from here on."""
        try:
            self._connection = context.wrap_socket(self._connection, server_side=True)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Close, whatever the client is doing."""
        with suppress(OSError):
            socket.socket.shutdown(self._connection, socket.SHUT_RDWR)
        self._connection.close()

    def more(self) -> bool:
        """Read something; False when the client has gone."""
        try:
            received = self._connection.recv(65536)
        except OSError:
            return False
        self._buffer += received
        return bool(received)


Script = Callable[[Line], None]


@dataclass
class Server:
    """Runs `script` for every connection."""

    script: Script
    requests: list[Received] = field(default_factory=list)
    connections: int = 0

    def __post_init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self._lines: list[Line] = []
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def stop(self) -> None:
        """Hang up on everybody."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._accepting.join(WAIT_S)
        for line in self._lines:
            line.close()
        for thread in self._threads:
            thread.join(WAIT_S)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            line = Line(connection, self.requests)
            self._lines.append(line)
            thread = threading.Thread(target=self._run, args=(line,))
            self._threads.append(thread)
            thread.start()

    def _run(self, line: Line) -> None:
        try:
            self.script(line)
        finally:
            line.close()


def http(
    status: int = 200, body: bytes = b"{}", length: int | None = None, **headers: str
) -> bytes:
    """Return a response; `length` lies about the body's."""
    lines = [f"HTTP/1.1 {status} Whatever", "Content-Type: application/json"]
    lines.append(f"Content-Length: {len(body) if length is None else length}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def always(response: bytes) -> Script:
    """Answer every request with the same bytes."""

    def script(line: Line) -> None:
        while line.request() is not None and line.send(response):
            pass

    return script


def error(status: int, **inner: Any) -> bytes:
    """Return a response with the provider's error shape."""
    return http(status, json.dumps({"error": inner}).encode())


def as_sent(body: dict[str, Any]) -> bytes:
    """Return a body's bytes."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def chat(content: Any = "hello", **body: Any) -> Request:
    """Return a request that asks for `content`."""
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": content}],
        **body,
    }
    return Request(
        endpoint=Endpoint.CHAT,
        path=PATHS[Endpoint.CHAT],
        body=body,
        content=as_sent(body),
        model="m",
        text_characters=0,
        output_limit_tokens=None,
        is_bounded=True,
    )


class FakeClock:
    """Time that moves when a test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic_s(self) -> float:
        """The test's seconds."""
        return self.now_s

    def unix_s(self) -> float:
        """2026-11-23 00:00:00 UTC, plus the test's seconds."""
        return 1_795_392_000.0

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Not waited for."""
        self.now_s += seconds
        return stop.is_set()


class Calling(threading.Thread):
    """A call in a thread of its own."""

    def __init__(self, client: Client, request: Request) -> None:
        super().__init__(daemon=True)  # one that hangs ends with the tests
        self._client = client
        self._request = request
        self._reply: Reply | None = None
        self.start()

    def run(self) -> None:
        """Call."""
        self._reply = self._client.call(self._request, "run-1-1")

    def reply(self) -> Reply:
        """Return the reply, which must come at once."""
        self.join(WAIT_S)
        assert self._reply is not None, "the call hangs"
        return self._reply
