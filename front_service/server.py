"""Serve the application until told to stop, and then let what is under way come to its end."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Final

import structlog
from aiohttp import web
from aiohttp.web_log import AccessLogger

from front_service.connection import Connection
from front_service.crowd import Crowd
from front_service.heads import Heads
from front_service.health import Readiness
from front_service.readers import Readers
from front_service.turnstile import Turnstile

log: Final = structlog.get_logger()

_KEEP_ALIVE: Final = 75.0  # seconds: longer than a proxy keeps its connections
_LINGER: Final = 2.0  # seconds that the rest of a refused body is read for
_BACKLOG: Final = 1_024
_LOOK_EVERY: Final = 0.05
_LAME: Final = 2.0  # seconds for connections that are kept open to be told that this is the last


class HttpServer:
    """Listens on one address. Cancelled, it stops accepting, says good-bye and waits."""

    name = "http"

    def __init__(
        self,
        app: web.Application,
        *,
        host: str,
        port: int,
        reuse_port: bool = False,
        heads: Heads,
        readers: Readers,
        crowd: Crowd,
        turnstile: Turnstile,
        readiness: Readiness,
        say_goodbye: Callable[[], None],
        grace: timedelta,
    ) -> None:
        self._app, self._host, self._port, self._reuse_port = app, host, port, reuse_port
        self._heads, self._readers, self._crowd = heads, readers, crowd
        self._turnstile = turnstile
        self._readiness, self._say_goodbye = readiness, say_goodbye
        self._grace = grace.total_seconds()
        self._server: web.Server | None = None
        self.port: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @property
    def open_connections(self) -> int:
        """How many clients are connected right now."""
        return 0 if self._server is None else len(self._server.connections)

    @property
    def is_leaving(self) -> bool:
        """Whether it takes no new connection any more."""
        return self._readiness.is_draining

    async def run(self) -> None:
        runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=self._grace)
        await runner.setup()
        self._server = server = runner.server
        if server is None:
            raise RuntimeError("there is no server after its set-up")
        listening = await self._listen(server)
        try:
            await asyncio.Event().wait()
        finally:
            await self._drain(runner, listening)

    async def _listen(self, server: web.Server) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        connect = partial(
            Connection,
            self._heads,
            self._readers,
            self._crowd,
            self._turnstile,
            server,
            loop=loop,
            access_log=None,
            access_log_class=AccessLogger,
            auto_decompress=False,  # a body is taken as it is, or not at all
            keepalive_timeout=_KEEP_ALIVE,
            lingering_time=_LINGER,
        )
        listening = await loop.create_server(
            connect,
            self._host,
            self._port,
            reuse_port=self._reuse_port or None,
            backlog=_BACKLOG,
        )
        port = listening.sockets[0].getsockname()[1]
        self.port.set_result(port)
        log.info("listening", host=self._host, port=port)
        return listening

    async def _drain(self, runner: web.AppRunner, listening: asyncio.Server) -> None:
        """Not ready, no new connections, streams told to come back, requests finished.

        A connection that is cut while it is idle may be cut under a request that is on its way.
        So whoever asks within the next moments is answered, and told to close it himself.
        """
        self._readiness.is_draining = True
        listening.close()
        self._say_goodbye()
        await self._dwindle(min(_LAME, self._grace / 3))
        await runner.cleanup()
        log.info("requests drained")

    async def _dwindle(self, seconds: float) -> None:
        """Wait for the last connection to close, or *seconds*."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while self.open_connections and loop.time() < end:  # noqa: ASYNC110  nobody says so
            await asyncio.sleep(_LOOK_EVERY)
