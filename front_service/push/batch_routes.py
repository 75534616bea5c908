"""The events of a batch, over what carries those of a job: server-sent events and WebSocket."""

from typing import TYPE_CHECKING, cast

from aiohttp import hdrs, web

from front_service.keys import BATCHES, MARKS, PRINCIPAL
from front_service.push.hub import Draining
from front_service.push.socket import Socket
from front_service.push.sse import _begin, _last_event_id
from front_service.push.sse import _tell as tell_events
from front_service.push.stream import read_after
from front_service.push.websocket import _talk
from front_service.refusals import NoUpgrade
from shared.contract.errors import Malformed, Unavailable

if TYPE_CHECKING:
    from front_service.push.batches import BatchStream
    from front_service.push.stream import Stream


async def events(request: web.Request) -> web.StreamResponse:
    """``GET /api/batches/{id}/events``. ``Last-Event-ID`` and ``?after=`` resume."""
    seen = _last_event_id(request)
    after = seen if seen is not None else read_after(request.query.get("after"))
    tenant, name = request[PRINCIPAL].tenant, request.match_info["id"]
    try:
        async with request.app[BATCHES].open(tenant, name, after) as stream:
            if seen is not None and stream.is_nothing_new:
                return web.Response(status=204)  # the one answer after which nobody asks again
            response = await _begin(request)
            await tell_events(request, response, _as_of_a_job(stream))
    except Draining:
        raise Unavailable("This replica is about to stop.", retry_after=1) from None
    return response


async def watch(request: web.Request) -> web.StreamResponse:
    """``GET /batches/{id}``, upgraded. ``?after=<sequence>`` resumes."""
    if request.headers.get(hdrs.UPGRADE, "").strip().lower() != "websocket":
        raise NoUpgrade
    if hdrs.SEC_WEBSOCKET_PROTOCOL in request.headers:
        raise Malformed("There is no subprotocol here.")
    after = read_after(request.query.get("after"))
    tenant, name = request[PRINCIPAL].tenant, request.match_info["id"]
    try:
        async with request.app[BATCHES].open(tenant, name, after) as stream:
            socket = await Socket.accept(request, request[MARKS])
            await _talk(socket, _as_of_a_job(stream))
    except Draining:
        raise Unavailable("This replica is about to stop.", retry_after=1) from None
    return socket.response


def _as_of_a_job(stream: "BatchStream") -> "Stream":
    """Hand a stream on to who carries frames: it has all that they ask of one."""
    return cast("Stream", stream)
