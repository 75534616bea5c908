"""``/livez``, ``/readyz`` and ``/metrics`` of a process that serves nothing else over HTTP."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from shared.runtime.metrics import CONTENT_TYPE, Metrics


class Probes:
    """A service: listens on a port of its own."""

    name = "probes"

    def __init__(
        self, *, host: str, port: int, metrics: Metrics, is_ready: Callable[[], Awaitable[bool]]
    ) -> None:
        self._host, self._port, self._metrics, self._is_ready = host, port, metrics, is_ready

    async def run(self) -> None:
        app = web.Application()
        app.add_routes(
            [
                web.get("/livez", self._live),
                web.get("/readyz", self._ready),
                web.get("/metrics", self._scrape),
            ]
        )
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port).start()
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()

    async def _live(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def _ready(self, _: web.Request) -> web.Response:
        if await self._is_ready():
            return web.json_response({"status": "ready"})
        return web.json_response({"status": "unready"}, status=503)

    async def _scrape(self, _: web.Request) -> web.Response:
        body = self._metrics.exposition()
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})
