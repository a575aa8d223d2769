"""How is one request sent? One synchronous send through the official SDK.

Owns the SDK's client, the deadline of each call, and the promise that one call is
one request: no retry, no redirect, nothing added to the body. Says what a failure
is, never what follows from it.

Floor: doors and rules. Knows its own room, answers, records, errors and clock.
"""

import dataclasses
import functools
import logging
import os
import re
import ssl
import string
from collections.abc import Callable
from urllib.parse import quote

import httpx2
import openai

from runner.client import headers
from runner.client.connections import LaneTransport
from runner.client.flights import Flight, Flights
from runner.client.replies import failure_in, failure_in_part
from runner.client.session import OneSend
from runner.client.settings import ClientSettings
from runner.clock import Clock
from runner.errors import EndpointError, UsageError
from runner.proxies import proxy_for
from runner.records import Failure, FailureKind, Reply, Request
from runner.redaction import Redactor

_CONNECT_S = 10.0
"""For the connection and for TLS, each: a first lost packet is sent again after
1 s, then 3, then 7."""
_MOST_ID_CHARACTERS = 512
"""OpenAI's limit for X-Client-Request-Id (API overview, "Debugging requests")."""


class Client:
    """Sends requests, each at most once; made and used in one process.

    `call` may be used from many threads: each call has a connection to itself.
    `has_answers` says whether the server has answered anything in this session: until
    then a page in the place of an answer means that the base URL is wrong.

    Raises:
        EndpointError: The base URL is not an http(s) URL.
        UsageError: The key, the proxy or the certificates cannot be used.
    """

    def __init__(
        self,
        settings: ClientSettings,
        api_key: str,
        clock: Clock,
        has_answers: Callable[[], bool],
    ) -> None:
        _check_key(api_key)
        url = _checked_url(settings.base_url)
        self._settings = settings
        self._clock = clock
        self._pid = os.getpid()
        self._redactor = Redactor(api_key)
        self._flights = Flights()
        self._has_answers = has_answers
        proxy = proxy_for(settings.base_url) if settings.obeys_proxies else None
        self._lanes = _lanes(url, proxy, settings.connections)
        self._timeout = _timeout(settings.timeout_s)
        self._sdk = openai.OpenAI(
            api_key=api_key,
            base_url=settings.base_url,
            organization=settings.organization,
            project=settings.project,
            max_retries=0,
            # The bytes we store are then the bytes that were sent.
            default_headers={"Accept-Encoding": "identity"},
            http_client=OneSend(self._lanes, self._timeout),
        )
        # Where they are None the SDK has read the environment: whoever resumes has
        # another one, and would bill another account.
        self._sdk.organization = settings.organization
        self._sdk.project = settings.project
        self._base = str(self._sdk.base_url).rstrip("/")
        _quieten("httpx2", "httpcore2")

    def __repr__(self) -> str:
        return f"<Client of {self._settings.run} for {self._settings.base_url}>"

    def call(
        self,
        request: Request,
        client_request_id: str,
        *,
        may_go: Callable[[], bool] = lambda: True,
    ) -> Reply:
        """Send one request, once, and wait for its reply.

        Nothing that network, server or the request itself does raises: it is the
        reply's `failure`. `may_go` is asked once the connection is there, just before
        the first byte leaves.

        Raises:
            RuntimeError: In another process than the one the client was made in:
                a forked connection hands out other items' answers.
        """
        if os.getpid() != self._pid:
            raise RuntimeError(f"{self!r} belongs to process {self._pid}")
        limit_s = self._settings.timeout_s
        flight = self._lanes.board(self._clock.monotonic_s(), limit_s, may_go)
        flight.has_answers = self._has_answers
        try:
            return self._flown(request, client_request_id, flight)
        finally:
            self._flights.end(flight)
            self._lanes.leave()

    def enforce_deadlines(self) -> int:
        """Cut the calls past their deadline; return how many. To be called often."""
        self._lanes.close_rested()
        return self._flights.cut_overdue(self._clock.monotonic_s())

    def close(self) -> None:
        """Cut all calls and close; later calls are refused as never sent."""
        self._flights.abandon()
        self._sdk.close()

    def _flown(self, request: Request, client_request_id: str, flight: Flight) -> Reply:
        if not request.path.startswith("/") or request.path.startswith("//"):
            return self._reply(flight, b"", _misdirected(request.path))
        if not self._flights.start(flight):
            return self._reply(flight, b"", _STOPPED)
        return self._sent(request, client_request_id, flight)

    def _sent(self, request: Request, client_request_id: str, flight: Flight) -> Reply:
        try:
            response = self._post(request, client_request_id)
        except openai.APIStatusError as error:
            response = error.response
        except Exception as error:  # noqa: BLE001 - the money may be spent: told, not raised
            body = b"".join(flight.chunks)
            in_part = functools.partial(failure_in_part, error)
            failure = self._told(body, flight, in_part)
            return self._reply(flight, body, failure)
        body = response.content
        status = response.status_code
        failure = self._told(body, flight, functools.partial(failure_in, status))
        return self._reply(flight, body, failure)

    def _told(
        self,
        body: bytes,
        flight: Flight,
        failure_of: Callable[[bytes, Flight], Failure | None],
    ) -> Failure | None:
        """The failure in a body; what it quotes of it is cut, so without the key."""
        failure = failure_of(body, flight)
        cleaned = body if failure is None else self._redactor.body(body)
        return failure if cleaned is body else failure_of(cleaned, flight) or failure

    def _post(self, request: Request, client_request_id: str) -> httpx2.Response:
        request_id = _ascii(client_request_id)
        # The cheapest of the SDK's public ways, and it sends the bytes as they
        # are: 0.8 times the CPU of `with_raw_response.create`.
        return self._sdk.post(
            # Whole, the SDK has to take it apart only once.
            self._base + request.path,
            content=request.content,
            cast_to=httpx2.Response,
            options={
                "headers": {"X-Client-Request-Id": request_id},
                "timeout": self._timeout,
                # OpenAI has no header for it, so it is never sent. Without one the SDK
                # draws one, by a system call that gives the interpreter lock away.
                "idempotency_key": request_id,
            },
        )

    def _reply(self, flight: Flight, body: bytes, failure: Failure | None) -> Reply:
        kept = headers.kept(flight.headers, self._redactor.text)
        if failure is not None:
            body = self._redactor.body(body)
            failure = dataclasses.replace(
                failure,
                message=self._redactor.line(failure.message),
                code=failure.code and self._redactor.line(failure.code),
                retry_after_s=headers.retry_after_s(kept, self._clock.unix_s()),
            )
        return Reply(
            status=flight.status,
            headers=kept,
            body=body,
            latency_s=self._clock.monotonic_s() - flight.started_s,
            request_id=kept.get("x-request-id"),
            failure=failure,
            parsed=None if failure else flight.parsed,
        )


_STOPPED = Failure(kind=FailureKind.NOT_SENT, message="stopped before it was sent")


def _misdirected(path: str) -> Failure:
    """A whole URL, or //host/path, would carry the key to another server."""
    message = f"the request cannot be sent: {path!r} is not a path below the base URL"
    return Failure(kind=FailureKind.REJECTED, message=message)


def _ascii(client_request_id: str) -> str:
    """Return it as a header can carry it; without its beginning if too long."""
    visible = string.ascii_letters + string.digits + string.punctuation
    return quote(client_request_id, safe=visible, errors="replace")[
        -_MOST_ID_CHARACTERS:
    ]


def _timeout(limit_s: float) -> httpx2.Timeout:
    # Per connect, write and read: the second line behind the deadline, which is
    # for the whole call.
    return httpx2.Timeout(limit_s, connect=min(_CONNECT_S, limit_s))


def _check_key(api_key: str) -> None:
    if not re.fullmatch("[!-~]+", api_key):
        raise UsageError(
            "the API key is empty or holds a character no key has",
            hint="look for a space, a line end or a typographic quote around it",
        )


def _checked_url(base_url: str) -> httpx2.URL:
    try:
        url = httpx2.URL(base_url)
    except httpx2.InvalidURL as error:
        raise EndpointError(f"{base_url!r} is not a URL: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise EndpointError(
            f"{base_url!r} is not a base URL",
            hint="it looks like https://api.openai.com/v1",
        )
    return url


def _lanes(url: httpx2.URL, proxy: str | None, most: int) -> LaneTransport:
    try:
        through = httpx2.Proxy(proxy) if proxy else None
        return LaneTransport(url, _tls(url), through, most)
    except ImportError as error:
        raise UsageError(
            "the proxy in the environment is a SOCKS proxy",
            hint="pip install socksio, or unset ALL_PROXY",
        ) from error
    except OSError as error:
        raise UsageError(
            f"the certificates cannot be read: {error}",
            hint="SSL_CERT_FILE and SSL_CERT_DIR name them",
        ) from error
    except (ValueError, httpx2.InvalidURL) as error:
        raise UsageError(
            f"the proxy in the environment cannot be used: {error}",
            hint="HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY name it",
        ) from error


def _tls(url: httpx2.URL) -> ssl.SSLContext:
    """Return one context for all connections: reading the certificates is slow."""
    if url.scheme == "https":
        tls = httpx2.create_ssl_context()
        tls.set_alpn_protocols(["http/1.1"])
        return tls
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _quieten(*names: str) -> None:
    """Keep the HTTP layer from writing a line a request, unless asked to."""
    for name in names:
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.WARNING)
