"""WebSocket ``/api/socket``: many jobs over one socket, as its client asks for them."""

import asyncio

from aiohttp import web

from front_service.keys import BATCHES, CONTROL, MARKS, STREAMS
from front_service.push.hub import Draining
from front_service.push.reader import Reader, reading
from front_service.push.socket import EXPIRED, GOING_AWAY, INTERNAL, PeerLost, Socket
from front_service.push.subscriptions import Subscriptions
from front_service.push.websocket import check_upgrade


async def socket(request: web.Request) -> web.StreamResponse:
    """``GET /api/socket``, upgraded. It stays open until its client, or this replica, leaves."""
    check_upgrade(request)
    with reading(request) as reader:
        line = await Socket.accept(request, request[MARKS], reader.protocols)
        try:
            await _serve(request, line, reader)
        finally:
            line.abort()
    return line.response


async def _serve(request: web.Request, line: Socket, reader: Reader) -> None:
    """Tell and hear until one of both is over, and say why."""
    try:
        async with asyncio.timeout_at(reader.until) as life:
            await _both(request, line, reader)
    except* PeerLost:
        pass
    except* Draining:
        await line.close(GOING_AWAY, b"come back")
    except* TimeoutError:
        if not life.expired():
            raise
        await line.close(EXPIRED, b"token expired")
    except* Exception:
        await line.close(INTERNAL)
        raise


async def _both(request: web.Request, line: Socket, reader: Reader) -> None:
    app = request.app
    async with asyncio.TaskGroup() as tasks:
        subscriptions = Subscriptions(
            tenant=reader.tenant,
            streams=app[STREAMS],
            batches=app[BATCHES],
            control=app[CONTROL] if reader.may_cancel else None,
            send=line.send,
            tasks=tasks,
            check=reader.check,
        )
        tasks.create_task(app[STREAMS].drained(), name="drain")
        tasks.create_task(_keep_alive(line, subscriptions), name="keep alive")
        await line.hear(subscriptions.take)


async def _keep_alive(line: Socket, subscriptions: Subscriptions) -> None:
    """Ask for a sign of life now and then, in turn with all else that is sent."""
    while True:
        await asyncio.sleep(line.ping_at - asyncio.get_running_loop().time())
        async with subscriptions.turn:
            await line.ping()
