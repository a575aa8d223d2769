"""A provider that can have every kind of bad night, and its billing ledger.

What it answers is what real servers were seen to answer; whether that is an answer,
and which failure else, is decided by the production code.
"""

import collections
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import httpx2

from nights.world import Event, Process, World
from runner.client import failures
from runner.client.flights import Cut, Flight, HeldBack, Phase
from runner.client.headers import retry_after_s
from runner.client.replies import failure_in
from runner.records import Failure, Reply, Request

ERRORS: dict[str, tuple[int, dict[str, Any]]] = {
    "wrong key": (401, {"code": "invalid_api_key", "message": "Incorrect API key"}),
    "deactivated": (403, {"code": "account_deactivated", "message": "gone"}),
    "region": (403, {"code": "unsupported_country", "message": "not supported"}),
    "no credit": (402, {"code": None, "message": "Payment required"}),
    "empty account": (
        429,
        {
            "code": "insufficient_quota",
            "type": "insufficient_quota",
            "message": "quota",
        },
    ),
    "spending limit": (
        429,
        {"code": "project_spend_limit_exceeded", "message": "limit"},
    ),
    "unknown model": (404, {"code": "model_not_found", "message": "no such model"}),
    "throttled": (
        429,
        {"code": "rate_limit_exceeded", "message": "Rate limit reached"},
    ),
    "slow down": (503, {"code": "slow_down", "message": "Slow down"}),
    "overloaded": (503, {"code": "server_is_overloaded", "message": "overloaded"}),
    "408": (408, {"message": "request timeout"}),
    "409": (409, {"message": "conflict"}),
    "500": (500, {"message": "The server had an error"}),
    "502": (502, {"message": "Bad gateway"}),
    "504": (504, {"message": "Gateway timeout"}),
    "too long": (400, {"code": "context_length_exceeded", "message": "too long"}),
    "filtered": (400, {"code": "content_filter", "message": "filtered"}),
    "unprocessable": (422, {"message": "no"}),
    "too large": (413, {"message": "too large"}),
    "larger than TPM": (
        429,
        {"code": "rate_limit_exceeded", "message": "Request too large for m on tokens"},
    ),
    "flagged": (403, {"message": "Your input was flagged by moderation"}),
}
HTML = b"<html><body>Service unavailable</body></html>"
PORTAL = {"portal 404": 404, "portal 403": 403, "portal 503": 503}
"""A proxy answers for the provider."""
BROKEN: dict[str, tuple[Exception, Phase, bool]] = {
    # The error, how far the request came, and whether the answer is billed.
    "refused": (httpx2.ConnectError("Connection refused"), Phase.CONNECTING, False),
    "no name": (httpx2.ConnectError("Name unknown"), Phase.CONNECTING, False),
    "no route": (httpx2.ConnectTimeout("timed out"), Phase.CONNECTING, False),
    "no descriptor": (OSError(24, "Too many open files"), Phase.CONNECTING, False),
    "cut while sending": (httpx2.WriteError("reset"), Phase.SENDING, False),
    "cut before": (httpx2.ReadError("reset"), Phase.SENT, False),
    "cut after": (httpx2.ReadError("reset"), Phase.SENT, True),
    "closed": (httpx2.RemoteProtocolError("disconnected"), Phase.SENT, True),
}
LATE = "late"
"""Billed, but nothing comes before the deadline."""
HTML_200 = "html 200"
FATAL = (
    "wrong key",
    "deactivated",
    "region",
    "no credit",
    "empty account",
    "spending limit",
    "unknown model",
)
REFUSED_ITEM = (
    "too long",
    "filtered",
    "unprocessable",
    "too large",
    "larger than TPM",
    "flagged",
)
OUTAGE = ("408", "409", "500", "502", "504", LATE, HTML_200, *BROKEN, *PORTAL)
SLOWER = ("throttled", "slow down", "overloaded")
ALL = (*FATAL, *REFUSED_ITEM, *OUTAGE, *SLOWER)


@dataclass(frozen=True, slots=True)
class Billed:
    """One answer that the provider generated, and charges for."""

    at_s: float
    request_id: str
    item: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Sent:
    """One request that reached the provider."""

    at_s: float
    request_id: str
    item: int
    asked: int
    """Which item the prompt speaks of."""
    attempt: int
    process: Process
    session: int


@dataclass
class Provider:
    """Its clock is the world's; its mood comes from the night's plan."""

    world: World
    draw: random.Random
    mood: Callable[[int, str], str | None]
    """Item and request id → what goes wrong with this one."""
    is_good: Callable[[int, int], bool]
    """Item, how many answers it had → whether the answer is a valid one."""
    latency_s: Callable[[], float]
    rpm: int | None = None
    """Enforced over a sliding window."""
    tells_limits: bool = True
    error_s: float = 0.1
    """How long an error takes."""
    on_arrival: Callable[[Sent], None] = lambda _: None
    arrivals: int = 0
    """Also of those that broke on their way."""
    sent: list[Sent] = field(default_factory=list)
    """Reached the server whole."""
    ledger: list[Billed] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    refusals: int = 0
    """For speed."""
    _window: collections.deque[float] = field(default_factory=collections.deque)
    _answers: collections.Counter[int] = field(default_factory=collections.Counter)

    def arrive(self, sent: Sent) -> "Coming":
        """A request is here: what will come back, and when."""
        self.arrivals += 1
        self.on_arrival(sent)
        fault = self.mood(sent.item, sent.request_id)
        if fault not in BROKEN or BROKEN[fault][1] is Phase.SENT:
            self.sent.append(sent)
        if fault in BROKEN and not BROKEN[fault][2]:
            self.seen.add(fault)
            return Coming(self.draw.uniform(0, 0.2), broken=fault)
        if (wait_s := self._refused_s()) is not None:
            self.refusals += 1
            return Coming(0.05, *_error("throttled", wait_s))
        if fault is None:
            return self._good(sent, self.latency_s(), "")
        self.seen.add(fault)
        if fault in ERRORS:
            asked_s = self.draw.choice((None, 0.0, 2.0, 20.0))
            return Coming(
                self.error_s, *_error(fault, asked_s if fault in SLOWER else None)
            )
        if fault in PORTAL:
            return Coming(0.1, PORTAL[fault], {"content-type": "text/html"}, HTML)
        return self._good(sent, self.latency_s(), fault)

    def _good(self, sent: Sent, latency_s: float, fault: str) -> "Coming":
        if fault == LATE:
            latency_s += 1_000.0
        had = self._answers[sent.item]
        self._answers[sent.item] += 1
        words = "good" if self.is_good(sent.item, had) else "bad"
        body = _completion(f"{words} {sent.asked}", sent.request_id)
        if fault == HTML_200:
            body = HTML

        def bill() -> None:
            self.ledger.append(
                Billed(self.world.now_s, sent.request_id, sent.item, body)
            )

        # Whether or not somebody is still there to hear it.
        self.world.at(self.world.now_s + latency_s, bill)
        broken = fault if fault in BROKEN else None
        return Coming(latency_s, 200, self._headers(), body, broken)

    def _refused_s(self) -> float | None:
        """Seconds to wait, when the window is full."""
        now_s, window = self.world.now_s, self._window
        while window and window[0] <= now_s - 60:
            window.popleft()
        if self.rpm is not None and len(window) >= self.rpm:
            return window[0] + 60 - now_s
        window.append(now_s)
        return None

    def _headers(self) -> dict[str, str]:
        if self.rpm is None or not self.tells_limits:
            return {}
        left, reset_s = self.rpm - len(self._window), 60 * len(self._window) / self.rpm
        return {
            "x-ratelimit-limit-requests": str(self.rpm),
            "x-ratelimit-remaining-requests": str(left),
            "x-ratelimit-reset-requests": f"{reset_s:.3f}s",
        }


@dataclass(frozen=True, slots=True)
class Coming:
    """What will come back."""

    after_s: float
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    broken: str | None = None


class Caller:
    """Stands for the client of one worker: the network and the server behind it."""

    def __init__(
        self, provider: Provider, process: Process, session: int, timeout_s: float
    ) -> None:
        self._provider = provider
        self._world = provider.world
        self._process = process
        self._session = session
        self._timeout_s = timeout_s
        self._landing: list[Event] = []
        self._is_abandoned = False

    def call(
        self, request: Request, client_request_id: str, *, may_go: Callable[[], bool]
    ) -> Reply:
        """Send, and wait for what comes."""
        started_s = self._world.now_s
        flight = Flight(started_s, self._timeout_s, None, may_go)
        try:
            flight.look_before_going()
        except HeldBack as error:
            return self._reply(flight, b"", failures.of_break(error, flight))
        here = Event(self._world)
        coming: list[Coming] = []
        sent = self._sent(request, client_request_id)

        def arrive() -> None:
            # Whatever becomes of the sender: it has left.
            now_s = self._world.now_s
            coming.append(self._provider.arrive(replace(sent, at_s=now_s)))
            self._world.at(now_s + coming[0].after_s, here.set)

        self._world.at(started_s + self._provider.draw.uniform(0.001, 0.03), arrive)
        self._landing.append(here)
        has_come = here.wait(self._timeout_s) and not self._is_abandoned
        self._landing.remove(here)
        flight.phase = Phase.SENT
        if not has_come:
            flight.cut_by = Cut.ABANDONED if self._is_abandoned else Cut.DEADLINE
            return self._reply(flight, b"", failures.cut_by_us(flight))
        return self._come(coming[0], flight)

    def _sent(self, request: Request, client_request_id: str) -> Sent:
        asked = int(request.body["messages"][0]["content"].split()[1])
        _, number, attempt = client_request_id.split("-")
        return Sent(
            at_s=0.0,
            request_id=client_request_id,
            item=int(number),
            asked=asked,
            attempt=int(attempt),
            process=self._process,
            session=self._session,
        )

    def _come(self, coming: Coming, flight: Flight) -> Reply:
        if coming.broken:
            error, flight.phase, _ = BROKEN[coming.broken]
            return self._reply(flight, b"", failures.of_break(error, flight))
        flight.status = coming.status
        flight.headers = list(coming.headers.items())
        failure = failure_in(coming.status, coming.body, flight)
        return self._reply(flight, coming.body, failure)

    def enforce_deadlines(self) -> int:
        """Each call watches its own here."""
        return 0

    def close(self) -> None:
        """Cut all calls."""
        self._is_abandoned = True
        for here in self._landing:
            here.set()

    def _reply(self, flight: Flight, body: bytes, failure: Failure | None) -> Reply:
        headers = dict(flight.headers)
        if failure is not None:
            wait_s = retry_after_s(headers, self._world.now_s)
            failure = replace(failure, retry_after_s=wait_s)
        return Reply(
            status=flight.status,
            headers=headers,
            body=body,
            latency_s=self._world.now_s - flight.started_s,
            request_id=None,
            failure=failure,
        )


def _error(name: str, wait_s: float | None) -> tuple[int, dict[str, str], bytes]:
    status, error = ERRORS[name]
    headers = {} if wait_s is None else {"retry-after-ms": str(int(wait_s * 1000))}
    return status, headers, json.dumps({"error": error}).encode()


def _completion(text: str, request_id: str) -> bytes:
    # Written by hand: it is made a thousand times a night.
    return (
        f'{{"id":"{request_id}","object":"chat.completion","model":"m","choices":'
        f'[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},'
        '"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":3,'
        '"total_tokens":10}}'
    ).encode()
