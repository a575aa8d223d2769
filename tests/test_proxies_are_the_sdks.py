"""The proxy we choose is the one the SDK's own client would choose."""

import httpx2
import pytest

from runner.proxies import proxy_for

PROXY = "http://proxy.example.com:3128"
URLS = [
    "https://api.openai.com/v1",
    "http://127.0.0.1:8000/v1",
    "http://localhost:8000/v1",
    "http://[::1]:8000/v1",
    "http://10.1.2.3/v1",
    "https://example.com/v1",
    "https://sub.example.com:8443/v1",
]
SETTINGS = [
    {},
    {"https_proxy": PROXY},
    {"HTTP_PROXY": PROXY},
    {"all_proxy": PROXY},
    {"http_proxy": "proxy.example.com:3128", "all_proxy": PROXY},
    {"all_proxy": PROXY, "no_proxy": "*"},
    {"all_proxy": PROXY, "no_proxy": "localhost,127.0.0.1"},
    {"all_proxy": PROXY, "no_proxy": "10.0.0.0/8, ::1"},
    {"all_proxy": PROXY, "no_proxy": "[::1], openai.com"},
    {"all_proxy": PROXY, "no_proxy": ".example.com"},
    {"all_proxy": PROXY, "no_proxy": "example.com"},
    {"all_proxy": PROXY, "no_proxy": "*.example.com"},
    {"all_proxy": PROXY, "no_proxy": "example.com:8443"},
    {"all_proxy": PROXY, "no_proxy": "https://example.com"},
    {"all_proxy": PROXY, "no_proxy": "http://example.com, ple.com,,"},
    {"all_proxy": PROXY, "no_proxy": "SUB.Example.COM, 127.0.0.1:8000"},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("url", URLS)
def test_the_environment_is_read_as_the_sdk_reads_it(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], url: str
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with httpx2.Client() as client:
        transport = client._transport_for_url(httpx2.URL(url))
        assert isinstance(transport, httpx2.HTTPTransport)
        proxy = getattr(transport._pool, "_proxy_url", None)
        expected = proxy and proxy.host.decode()
    chosen = proxy_for(url)
    assert (chosen and httpx2.URL(chosen).host) == expected
