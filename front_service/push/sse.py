"""Server-sent events ``GET /api/jobs/{id}/events``: the same frames for plain ``EventSource``."""

import asyncio
from contextlib import suppress
from typing import Final

from aiohttp import hdrs, web

from front_service.keys import MARKS, METRICS, SEAT, STREAMS
from front_service.push.hub import Draining
from front_service.push.reader import reading
from front_service.push.socket import cut, shrink
from front_service.push.story import Frame
from front_service.push.stream import Frames, OpensStreams, opened, read_after
from shared.contract.errors import Gone, Malformed

_HEARTBEAT: Final = 15.0  # seconds between two signs of life
_PATIENCE: Final = 10.0  # seconds for one write to leave
_PREFACE: Final = b"retry: 3000\n\n"
_ALIVE: Final = b": alive\n\n"


async def events(request: web.Request) -> web.StreamResponse:
    """Tell until the ending. ``Last-Event-ID`` and ``?after=`` resume."""
    return await stream_events(request, request.app[STREAMS])


async def stream_events(request: web.Request, streams: OpensStreams) -> web.StreamResponse:
    """Tell what *streams* has of what the address names."""
    seen = _last_event_id(request)
    after = seen if seen is not None else read_after(request.query.get("after"))
    job_id = request.match_info["id"]
    with reading(request) as reader:
        reader.check(job_id)
        async with opened(streams, reader.tenant, job_id, after) as stream:
            if seen is not None and stream.is_nothing_new:
                return web.Response(status=204)  # after this one nobody asks again
            response = await _begin(request)
            with suppress(TimeoutError):  # the token has expired
                async with asyncio.timeout_at(reader.until):
                    await _tell(request, response, stream)
    return response


async def _begin(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={
            hdrs.CONTENT_TYPE: "text/event-stream",
            hdrs.CACHE_CONTROL: "no-store",
            hdrs.SERVER: "uketsuke",
            "X-Accel-Buffering": "no",  # or a proxy would keep the events for itself
            "X-Content-Type-Options": "nosniff",
        }
        | request[MARKS]
    )
    if request.transport is not None:
        shrink(request.transport)
        if (seat := request.get(SEAT)) is not None:
            seat.on_end(request.transport.close)  # the client dials again, and is told why
    if request.app[STREAMS].is_draining:
        response.force_close()
    await response.prepare(request)
    return response


async def _tell(request: web.Request, response: web.StreamResponse, stream: Frames) -> None:
    body, pushed = _PREFACE, request.app[METRICS].pushed_events
    while True:
        await _send(request, response, body)
        if stream.is_over:
            return
        try:
            async with asyncio.timeout(_HEARTBEAT):
                frames = await stream.next()
                body = b"".join(map(_event, frames))
                pushed(len(frames))
        except TimeoutError:
            body = _ALIVE
        except (Draining, Gone):
            return  # the client dials again, and finds another replica or is told so


async def _send(request: web.Request, response: web.StreamResponse, body: bytes) -> None:
    """Write; a reader that takes nothing for a while is cut off."""
    line = request.transport
    try:
        async with asyncio.timeout(_PATIENCE):
            await response.write(body)
    except TimeoutError:
        if line is not None:
            cut(line)
        request.app[METRICS].cut("events")
        raise ConnectionError("the reader takes nothing") from None


def _event(frame: Frame) -> bytes:
    number = b"" if frame.sequence is None else b"id: %d\n" % frame.sequence
    return number + b"data: " + frame.body + b"\n\n"


def _last_event_id(request: web.Request) -> int | None:
    """Read what an ``EventSource`` repeats by itself; nonsense means from the start."""
    try:
        return read_after(request.headers.get(hdrs.LAST_EVENT_ID))
    except Malformed:
        return None
