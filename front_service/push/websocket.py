"""WebSocket ``/jobs/{id}``: a snapshot, then a frame for each event, until the ending."""

import asyncio
from contextlib import suppress
from typing import Final

import structlog
from aiohttp import hdrs, web

from front_service.keys import MARKS, STREAMS
from front_service.push.hub import Draining
from front_service.push.reader import reading
from front_service.push.socket import (
    EXPIRED,
    GOING_AWAY,
    GONE,
    INTERNAL,
    NORMAL,
    PeerLost,
    Socket,
)
from front_service.push.stream import Frames, OpensStreams, opened, read_after
from front_service.refusals import NoUpgrade
from shared.contract.errors import Gone

log: Final = structlog.get_logger()


async def watch(request: web.Request) -> web.StreamResponse:
    """``GET /jobs/{id}``, upgraded. ``?after=<sequence>`` resumes."""
    return await stream_frames(request, request.app[STREAMS])


async def stream_frames(request: web.Request, streams: OpensStreams) -> web.StreamResponse:
    """Tell what *streams* has of what the address names."""
    after, job_id = read_after(request.query.get("after")), request.match_info["id"]
    check_upgrade(request)
    with reading(request) as reader:
        reader.check(job_id)
        async with opened(streams, reader.tenant, job_id, after) as stream:
            socket = await Socket.accept(request, request[MARKS], reader.protocols)
            await _talk(socket, stream, reader.until)
    return socket.response


def check_upgrade(request: web.Request) -> None:
    """Raise ``NoUpgrade`` for a request that does not want to speak WebSocket."""
    if request.headers.get(hdrs.UPGRADE, "").strip().lower() != "websocket":
        raise NoUpgrade


async def _talk(socket: Socket, stream: Frames, until: float | None) -> None:
    """Tell until the ending or until the peer leaves, whichever comes first."""
    telling = asyncio.create_task(_tell(socket, stream, until), name="socket")
    try:
        with suppress(PeerLost):
            await socket.hear()
            await asyncio.wait([telling])  # it is saying good-bye
    finally:
        telling.cancel()
        await asyncio.wait([telling])
        socket.abort()
    if not telling.cancelled() and (error := telling.exception()) is not None:
        raise error


async def _tell(socket: Socket, stream: Frames, until: float | None) -> None:
    with suppress(PeerLost):
        try:
            async with asyncio.timeout_at(until) as life:
                while not stream.is_over:
                    await _tell_next(socket, stream)
        except TimeoutError:
            if not life.expired():
                raise
            await socket.close(EXPIRED, b"token expired")
        except Draining:
            await socket.close(GOING_AWAY, b"come back")
        except Gone:
            await socket.close(GONE, b"gone")
        except PeerLost:
            raise
        except Exception:
            await socket.close(INTERNAL)
            raise
        else:
            await socket.close(NORMAL)


async def _tell_next(socket: Socket, stream: Frames) -> None:
    """Send what comes next, or ask for a sign of life when it is time for that."""
    try:
        async with asyncio.timeout_at(socket.ping_at):
            frames = await stream.next()
    except TimeoutError:
        frames = []
    for frame in frames:
        await socket.send(frame.body)
    if asyncio.get_running_loop().time() >= socket.ping_at:
        await socket.ping()
