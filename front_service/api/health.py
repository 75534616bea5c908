"""What a supervisor asks of a process: is it alive, is it ready, how is it doing."""

from aiohttp import hdrs, web

from front_service.api.answers import NO_STORE, document
from front_service.keys import METRICS, READINESS
from shared.runtime.metrics import CONTENT_TYPE


async def livez(_: web.Request) -> web.Response:
    """``GET /livez``: that this answers at all is the answer."""
    return document({"status": "alive"})


async def readyz(request: web.Request) -> web.Response:
    """``GET /readyz``: 503 while the database is away or the replica drains."""
    is_ready, report = await request.app[READINESS].report()
    return document(report, status=200 if is_ready else 503)


async def metrics(request: web.Request) -> web.Response:
    """``GET /metrics``, for Prometheus."""
    body = request.app[METRICS].exposition()
    headers = {hdrs.CONTENT_TYPE: CONTENT_TYPE, hdrs.CACHE_CONTROL: NO_STORE}
    return web.Response(body=body, headers=headers | {hdrs.SERVER: "uketsuke"})
