"""How do the bytes of a reply go out, or not?

Owns every way of sending: in one piece, byte by byte, cut by a reset, never.

Floor: simulator. Knows faults, wire and aiohttp.
"""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable

from aiohttp import web

from runner.simulator.faults import Delivery
from runner.simulator.plans import Plan
from runner.simulator.scenario import Scenario
from runner.simulator.wire import whole_reply

_LOOK_S = 0.5
"""How often a request that is never answered looks whether its client left."""
_NO_LINGER = struct.pack("ii", 1, 0)
"""With this, close() sends a TCP reset (socket(7), SO_LINGER)."""


async def deliver(
    request: web.BaseRequest, plan: Plan, headers: dict[str, str], scenario: Scenario
) -> web.StreamResponse:
    """Send a reply the way its plan says."""
    if plan.delivery is Delivery.PLAIN:
        return web.Response(status=plan.status, body=plan.body, headers=headers)
    return await _ODD_WAYS[plan.delivery](request, plan, headers, scenario)


async def until_gone(request: web.BaseRequest) -> web.StreamResponse:
    """Wait for the client to leave."""
    while not _is_gone(request):  # noqa: ASYNC110 (aiohttp has no event for it)
        await asyncio.sleep(_LOOK_S)
    return web.Response()


async def _hang(
    request: web.BaseRequest, _plan: Plan, _headers: dict[str, str], _: Scenario
) -> web.StreamResponse:
    return await until_gone(request)


async def _close(
    request: web.BaseRequest, _plan: Plan, _headers: dict[str, str], _: Scenario
) -> web.StreamResponse:
    if request.transport:
        request.transport.close()
    return web.Response()


async def _reset(
    request: web.BaseRequest, plan: Plan, headers: dict[str, str], scenario: Scenario
) -> web.StreamResponse:
    transport = request.transport
    if transport and not transport.is_closing():
        reply = whole_reply(plan.status, headers, plan.body)
        transport.write(reply[: scenario.reset_after])
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        transport.abort()
    return web.Response()


async def _trickle_headers(
    request: web.BaseRequest, plan: Plan, headers: dict[str, str], scenario: Scenario
) -> web.StreamResponse:
    reply = whole_reply(plan.status, headers, plan.body)
    start = len(reply) - len(plan.body)
    pieces = [reply[at : at + 1] for at in range(start)] + [plan.body]
    for piece in pieces:
        if _is_gone(request):
            return web.Response()
        assert request.transport is not None
        request.transport.write(piece)
        await asyncio.sleep(scenario.trickle_every)
    return await _close(request, plan, headers, scenario)


async def _trickle_body(
    request: web.BaseRequest, plan: Plan, headers: dict[str, str], scenario: Scenario
) -> web.StreamResponse:
    response = web.StreamResponse(status=plan.status, headers=headers)
    response.content_length = len(plan.body)
    try:
        await response.prepare(request)
        for at in range(len(plan.body)):
            await response.write(plan.body[at : at + 1])
            await asyncio.sleep(scenario.trickle_every)
    except ConnectionError:
        pass  # the client left, as a client with a deadline should
    return response


def _is_gone(request: web.BaseRequest) -> bool:
    return request.transport is None or request.transport.is_closing()


_Way = Callable[
    [web.BaseRequest, Plan, dict[str, str], Scenario], Awaitable[web.StreamResponse]
]
_ODD_WAYS: dict[Delivery, _Way] = {
    Delivery.RESET: _reset,
    Delivery.CLOSE: _close,
    Delivery.HANG: _hang,
    Delivery.TRICKLE_BODY: _trickle_body,
    Delivery.TRICKLE_HEADERS: _trickle_headers,
}
