"""What the service says of itself, for programs."""

import asyncio

from aiohttp import hdrs, web

from front_service.keys import LIBRARY


async def openapi(request: web.Request) -> web.Response:
    """``GET /openapi.json``."""
    return await _paper(request, "openapi")


async def asyncapi(request: web.Request) -> web.Response:
    """``GET /asyncapi.json``."""
    return await _paper(request, "asyncapi")


async def _paper(request: web.Request, name: str) -> web.Response:
    paper = await asyncio.to_thread(request.app[LIBRARY].paper, name)
    headers = {
        hdrs.ETAG: paper.etag,
        hdrs.CACHE_CONTROL: "no-cache",
        hdrs.SERVER: "uketsuke",
        "X-Content-Type-Options": "nosniff",
    }
    if request.headers.get(hdrs.IF_NONE_MATCH) == paper.etag:
        return web.Response(status=304, headers=headers)
    return web.Response(body=paper.body, headers=headers | {hdrs.CONTENT_TYPE: "application/json"})
