"""A balancer such as a cluster has between a Service and its pods: by connection, no retries."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

_PIECE: Final = 65_536


class Balancer:
    """Sends each new connection to one of its endpoints; made by ``open_balancer``."""

    def __init__(self) -> None:
        self.endpoints: dict[str, int] = {}
        self.refused = 0
        self._dice = random.Random(7)
        self._lines: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()
        return f"http://{host}:{port}"

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0, backlog=1_024)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for line in self._lines:
            line.cancel()
        await asyncio.gather(*self._lines, return_exceptions=True)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = asyncio.current_task()
        assert line is not None
        self._lines.add(line)
        try:
            await self._carry(reader, writer)
        finally:
            self._lines.discard(line)
            writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.endpoints:
            self.refused += 1
            return
        host, port = self._dice.choice(list(self.endpoints.items()))
        try:
            their_reader, their_writer = await asyncio.open_connection(host, port)
        except OSError:
            self.refused += 1
            return
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pump(reader, their_writer))
                both.create_task(_pump(their_reader, writer))
        finally:
            their_writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass bytes on; an end of theirs is passed on too."""
    with suppress(OSError):
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()
    with suppress(OSError, RuntimeError):
        writer.write_eof()


@asynccontextmanager
async def open_balancer() -> AsyncIterator[Balancer]:
    balancer = Balancer()
    await balancer.open()
    try:
        yield balancer
    finally:
        await balancer.close()
