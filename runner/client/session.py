"""What the SDK is given as its `http_client`: builds a request, and sends it once.

The SDK's hook takes any httpx2.Client. Its own does on every call what never comes
out differently here: parse the same URL three times, merge headers of a client that
has none, keep cookies, look for redirects, logins and hooks. Without that a call
costs 0.2 ms of CPU less.

Floor: doors and rules. Knows the lanes.
"""

from typing import Any

import httpx2

from runner.client.connections import LaneTransport

_NEVER_GIVEN = ("params", "cookies", "data", "files", "json")


class OneSend(httpx2.Client):
    """An httpx2.Client whose `send` is one request over its call's lane."""

    def __init__(self, lanes: LaneTransport, timeout: httpx2.Timeout) -> None:
        super().__init__(transport=lanes, timeout=timeout, follow_redirects=False)
        self._lanes = lanes
        self._urls: dict[str, httpx2.URL] = {}
        """As written → parsed: one for each endpoint."""

    def build_request(self, method: str, url: Any, **given: Any) -> httpx2.Request:
        """The request; only what the SDK gives is in it, and that it is kept open."""
        content = given.get("content")
        is_more = any(given.get(name) for name in _NEVER_GIVEN)
        if is_more or not isinstance(url, str) or not isinstance(content, bytes):
            return super().build_request(method, url, **given)
        parsed = self._urls.get(url)
        if parsed is None:
            parsed = self._urls[url] = httpx2.URL(url)
        own = [
            ("Host", parsed.netloc),
            *given["headers"],
            ("Connection", "keep-alive"),
            ("Content-Length", str(len(content))),
        ]
        request = httpx2.Request(
            method,
            parsed,
            # A stream gets no headers by itself, and they would be merged again.
            stream=httpx2.ByteStream(content),
            headers=own,
            extensions={"timeout": given["timeout"].as_dict()},
        )
        request.read()
        return request

    def send(self, request: httpx2.Request, **_: Any) -> httpx2.Response:
        """Send it, once, and read all of the reply."""
        response = self._lanes.handle_request(request)
        response.request = request
        try:
            response.read()
        finally:
            response.close()
        return response
