"""A base URL that lacks its `/v1` is found out before a run is created."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from certificates import make_certificate, serving_with

from runner.errors import EndpointError
from runner.preflight import check_base_url, probe

Serve = Callable[[dict[str, int]], str]


class _Server(BaseHTTPRequestHandler):
    statuses: ClassVar[dict[str, int]] = {}

    def do_GET(self) -> None:
        """The status of that path, 404 for all others."""
        self.send_response(self.statuses.get(self.path, 404))
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Say nothing."""


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """A server on loopback that has the given paths; its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    def served(statuses: dict[str, int]) -> str:
        monkeypatch.setattr(_Server, "statuses", statuses)
        return f"http://127.0.0.1:{server.server_port}"

    yield served
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Of a server that only its own people know."""
    return make_certificate(tmp_path)


@pytest.fixture
def encrypted(serve: Serve, certificate: Path) -> Iterator[str]:
    """The address of a server with that certificate."""
    serve({"/v1/models": 401})
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    server.socket = serving_with(certificate).wrap_socket(
        server.socket, server_side=True
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"https://localhost:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_start_asks_by_the_way_its_workers_will_take(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the rules of requests it would ask a proxy that the workers leave alone."""
    url = serve({"/models": 200})
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", url)
    assert probe(url) == {}
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(EndpointError, match="nothing answers"):
        probe(url)


def test_a_start_trusts_the_authorities_that_the_workers_trust(
    encrypted: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would pass, and each call of the night would fail, or be refused."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with pytest.raises(EndpointError, match="set SSL_CERT_FILE"):
        probe(encrypted)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    assert probe(encrypted) == {}


@pytest.mark.parametrize("status", [200, 401, 403])
@pytest.mark.parametrize("end", ["", "/"])
def test_a_base_url_without_its_v1_is_told_what_was_meant(
    serve: Serve, status: int, end: str
) -> None:
    url = serve({"/v1/models": status})
    with pytest.raises(EndpointError) as refused:
        probe(f"{url}{end}")
    assert f"did you mean {url}/v1?" in str(refused.value)


@pytest.mark.parametrize(
    "statuses",
    [
        {},
        {"/models": 200, "/v1/models": 200},
        {"/models": 401, "/v1/models": 200},
        {"/v1/models": 500},
    ],
)
def test_a_server_that_may_be_right_is_let_be(
    serve: Serve, statuses: dict[str, int]
) -> None:
    assert {} == probe(serve(statuses))


def test_https_to_a_server_of_plain_http_is_told_as_that(serve: Serve) -> None:
    """A certificate cannot help there."""
    url = serve({"/v1/models": 200})
    with pytest.raises(EndpointError) as refused:
        probe(f"{url.replace('http:', 'https:')}/v1")
    assert f"the server speaks plain HTTP there: use {url}/v1" == refused.value.hint
    assert "SSL_CERT_FILE" not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("https://api.x.com/v1/chat/completions", "https://api.x.com/v1"),
        ("https://api.x.com/v1/chat/completions/", "https://api.x.com/v1"),
        ("https://api.x.com/v1/completions", "https://api.x.com/v1"),
        ("http://localhost:8000/responses", "http://localhost:8000"),
        ("https://gate.x.com/a/b/embeddings", "https://gate.x.com/a/b"),
    ],
)
def test_the_address_of_an_endpoint_is_told_what_comes_before_it(
    given: str, meant: str
) -> None:
    with pytest.raises(EndpointError) as refused:
        check_base_url(given)
    assert f"give the part before it: {meant}" == refused.value.hint
    assert given in refused.value.message


@pytest.mark.parametrize(
    "url",
    [
        "https://api.x.com/v1",
        "https://gate.x.com/v1/account/gateway/openai",
        "https://x.com/my-completions",
        "https://x.com/chat",
        "http://responses:8000",
        "https://x.com/embeddings/v1",
    ],
)
def test_a_gateway_may_have_any_other_path(url: str) -> None:
    check_base_url(url)
