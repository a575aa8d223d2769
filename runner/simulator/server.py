"""How does a request travel through the simulated server?

Owns the routes and the order of one request: read, decide, wait, write the
ledger line, send. Control routes steer it while it runs.

Floor: simulator. Knows provider, delivery, listening, ledger and aiohttp.
"""

import asyncio
import json
import logging
import os
import time
from collections.abc import Awaitable, Callable
from itertools import count

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader

from runner.simulator import plans, refusals
from runner.simulator.asked import ENDPOINTS
from runner.simulator.delivery import deliver, until_gone
from runner.simulator.ledger import Ledger
from runner.simulator.listening import Door
from runner.simulator.models import model_json, models_json
from runner.simulator.plans import Plan
from runner.simulator.provider import SILENT_OUTAGES, Provider
from runner.simulator.refusals import JSON
from runner.simulator.scenario_text import ScenarioError, changed, to_json
from runner.simulator.stats import Stats
from runner.simulator.wire import JsonObject, encode

_LARGEST_BODY = 64 * 1024 * 1024
_EPOCH_UNIX_S = time.time() - time.monotonic()
_LOGGER = logging.getLogger(__name__)
_COMMON_HEADERS = {
    "openai-organization": "org-simulator",
    "openai-version": "2020-10-01",
}
_Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class SimulatedServer:
    """The API on one port, its control routes on that and on a second one."""

    def __init__(
        self, provider: Provider, ledger: Ledger, host: str, port: int
    ) -> None:
        self._provider = provider
        self._ledger = ledger
        self.stats = Stats()
        self._busy: set[web.RequestHandler] = set()
        self._idle_since_s = time.monotonic()
        self._identities = count(1)
        self._boot = os.urandom(10).hex()
        self._api = Door(_server(self._serve), host, port)
        self._control = Door(_server(self._serve_control), host, 0)
        self._control_routes = _control_routes(self)

    @property
    def base_url(self) -> str:
        """Where clients send requests."""
        return f"{self._api.address}/v1"

    @property
    def control_url(self) -> str:
        """Where tests steer; reachable during every outage."""
        return f"{self._control.address}/simulator"

    @property
    def idle_s(self) -> float:
        """Seconds since the last request to a model endpoint ended; 0: one is open."""
        return 0.0 if self.stats.open else time.monotonic() - self._idle_since_s

    async def open(self) -> None:
        """Start listening."""
        await self._control.open()
        await self._apply_outage()

    def close(self) -> None:
        """Stop listening and drop every connection."""
        self._api.release()
        self._control.release()

    def describe(self) -> JsonObject:
        """Addresses, process and settings."""
        return {
            "base_url": self.base_url,
            "control_url": self.control_url,
            "pid": os.getpid(),
            "scenario": to_json(self._provider.scenario),
        }

    async def change(self, values: JsonObject) -> JsonObject:
        """Replace some settings; all of them as they are now.

        Raises:
            ScenarioError: unknown setting or impossible value.
        """
        self._provider.follow(changed(self._provider.scenario, values))
        await self._apply_outage()
        return to_json(self._provider.scenario)

    async def _apply_outage(self) -> None:
        if self._provider.scenario.outage == "refuse":
            await self._api.shut(self._busy)
        else:
            await self._api.open()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        self._busy.add(connection)
        try:
            if request.method == "POST" and request.path in ENDPOINTS:
                return await self._counted(request)
            if request.path.startswith("/simulator"):
                return await self._serve_control(request)
            return await self._look_up(request)
        finally:
            self._busy.discard(connection)
            self._api.see_off(connection)

    async def _counted(self, request: web.BaseRequest) -> web.StreamResponse:
        self.stats.arrive()
        try:
            return await self._ask(request)
        finally:
            self.stats.leave()
            self._idle_since_s = time.monotonic()

    async def _ask(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request to a model endpoint, from its bytes to its reply."""
        raw = await _body(request)
        now_s = time.monotonic()
        identity = f"{self._boot}{next(self._identities):012x}"
        if raw is None:
            plan = plans.incomplete(request.path)
        else:
            key = _key(request)
            plan = self._provider.plan(request.path, raw, key, identity, now_s)
        if not await self._generate(request, plan, identity, now_s):
            return _plain(refusals.fault("error_500", request.path))
        headers = _reply_headers(plan, identity, now_s)
        return await deliver(request, plan, headers, self._provider.scenario)

    async def _generate(
        self, request: web.BaseRequest, plan: Plan, identity: str, received_s: float
    ) -> bool:
        """Let the answer's time pass and bill it, also when the server ends first."""
        try:
            if plan.delay_s:
                await asyncio.sleep(plan.delay_s)
        finally:
            self._provider.complete(plan, time.monotonic())
            recorded = self._record(request, plan, identity, received_s)
        return recorded

    def _record(
        self, request: web.BaseRequest, plan: Plan, identity: str, received_s: float
    ) -> bool:
        """Write the ledger line; without one nothing may be answered."""
        line = plan.ledger_line(
            request.headers.get("x-client-request-id"),
            f"req_{identity}",
            round(_EPOCH_UNIX_S + received_s, 6),
        )
        try:
            self._ledger.write({"t_unix_s": round(time.time(), 6)} | line)
        except OSError:
            _LOGGER.exception("the ledger cannot be written; answering 500")
            return False
        self.stats.count(plan)
        return True

    async def _look_up(self, request: web.BaseRequest) -> web.StreamResponse:
        """The list of models, one of them, or an address that does not exist."""
        await request.read()
        if self._provider.scenario.outage in SILENT_OUTAGES:
            return await until_gone(request)
        refusal = self._provider.closed_door(_key(request))
        if refusal:
            return _plain(refusal)
        path = request.path.rstrip("/")
        if request.method == "GET" and path == "/v1/models":
            return _json(models_json(self._provider.knows_model))
        if request.method == "GET" and path.startswith("/v1/models/"):
            name = path.removeprefix("/v1/models/")
            document = model_json(name, self._provider.knows_model)
            return _json(document) if document else _plain(refusals.unknown_model(name))
        return _plain(refusals.unknown_address(request.method, request.path))

    async def _serve_control(self, request: web.BaseRequest) -> web.StreamResponse:
        route = self._control_routes.get((request.method, request.path.rstrip("/")))
        if route:
            return await route(request)
        return _plain(refusals.unknown_address(request.method, request.path))


def _control_routes(server: SimulatedServer) -> dict[tuple[str, str], _Handler]:
    async def describe(_: web.BaseRequest) -> web.StreamResponse:
        return _json(server.describe())

    async def stats(_: web.BaseRequest) -> web.StreamResponse:
        return _json(server.stats.to_json())

    async def change(request: web.BaseRequest) -> web.StreamResponse:
        try:
            values = json.loads(await request.read())
            if not isinstance(values, dict):
                raise ScenarioError("send a JSON object of settings")
            return _json(await server.change(values))
        except ValueError as error:
            return _json({"error": {"message": str(error)}}, status=400)

    return {
        ("GET", "/simulator"): describe,
        ("GET", "/simulator/stats"): stats,
        ("POST", "/simulator/scenario"): change,
    }


def _server(handler: _Handler) -> web.Server:
    return web.Server(
        handler,
        request_factory=_request,
        access_log=None,
        lingering_time=0,
    )


def _request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: web.RequestHandler,
    writer: AbstractStreamWriter,
    task: "asyncio.Task[None]",
) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(
        message, payload, protocol, writer, task, loop, client_max_size=_LARGEST_BODY
    )


async def _body(request: web.BaseRequest) -> bytes | None:
    """The whole body; None if it does not arrive or is beyond all measure."""
    try:
        return await request.read()
    except (ConnectionError, web.RequestPayloadError, web.HTTPRequestEntityTooLarge):
        return None


def _key(request: web.BaseRequest) -> str | None:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else None


def _reply_headers(plan: Plan, identity: str, received_s: float) -> dict[str, str]:
    elapsed_ms = (time.monotonic() - received_s) * 1000
    return {
        "content-type": plan.content_type,
        "x-request-id": f"req_{identity}",
        "openai-processing-ms": str(round(elapsed_ms)),
        **_COMMON_HEADERS,
        **plan.headers,
    }


def _plain(refusal: refusals.Refusal) -> web.Response:
    headers = {"content-type": refusal.content_type, **refusal.headers}
    return web.Response(status=refusal.status, body=refusal.body, headers=headers)


def _json(document: JsonObject, status: int = 200) -> web.Response:
    headers = {"content-type": JSON}
    return web.Response(status=status, body=encode(document), headers=headers)
