"""Hold an answer back until there is something to say, as long as its caller may hear it."""

import asyncio
from typing import Final

from aiohttp import web

from front_service.keys import PRINCIPAL, SEAT, STREAMS
from front_service.refusals import Unauthenticated

PREFER: Final = "Prefer"


def may_wait(request: web.Request) -> bool:
    """Tell whether *request* may ask for its answer to be held back; it has a seat then."""
    return PREFER in request.headers or "wait" in request.query


async def wait(
    request: web.Request, job_id: str, *, seconds: int, after: int | None = None
) -> None:
    """Wait as ``Streams.wait`` does.

    Raises ``Unauthenticated`` as soon as the key or the token has ended that let the caller in.
    """
    seat, streams, tenant = request[SEAT], request.app[STREAMS], request[PRINCIPAL].tenant
    now = asyncio.get_running_loop().time
    try:
        async with asyncio.timeout(None) as stay:
            seat.on_end(lambda: stay.reschedule(now()))
            try:
                await streams.wait(tenant, job_id, seconds=seconds, after=after)
            finally:
                seat.on_end(_nothing)
    except TimeoutError:
        if not seat.has_ended:
            raise
    if seat.has_ended:
        raise Unauthenticated("What let you in has ended meanwhile.", shown=True)


def _nothing() -> None:
    """Nobody waits any more."""
