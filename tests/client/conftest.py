"""Servers and clients that end with their test."""

from collections.abc import Callable, Iterator

import pytest
from client_server import KEY, FakeClock, Script, Server

from runner.client import Client, ClientSettings


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def serve() -> Iterator[Callable[[Script], Server]]:
    servers: list[Server] = []

    def start(script: Script) -> Server:
        servers.append(Server(script))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def connect(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Client]]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    clients: list[Client] = []

    def start(
        url: str,
        key: str = KEY,
        has_answers: Callable[[], bool] = lambda: False,
        timeout_s: float = 60.0,
        connections: int = 1,
        *,
        obeys_proxies: bool = True,
    ) -> Client:
        settings = ClientSettings(
            base_url=url,
            organization=None,
            project=None,
            timeout_s=timeout_s,
            connections=connections,
            run="night",
            obeys_proxies=obeys_proxies,
        )
        clients.append(Client(settings, key, clock, has_answers))
        return clients[-1]

    yield start
    for client in clients:
        client.close()
