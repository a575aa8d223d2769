"""Servers that end with their test."""

from collections.abc import Iterator

import pytest
from canary import Serve, served
from fuzz.odd_server import OddServer


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[OddServer] = []

    def start(response: bytes) -> OddServer:
        servers.append(served(response))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()
