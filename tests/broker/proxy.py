"""A line to the broker that can be cut or go silent."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from yarl import URL

_RESET = struct.pack("ii", 1, 0)  # linger for no time: closing sends a reset


class Proxy:
    """Forwards bytes both ways; `freeze` makes a black hole, `cut` resets every line."""

    def __init__(self, target: URL) -> None:
        self._target = target
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._lines: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""
        self.dialled = 0

    def freeze(self) -> None:
        self._flowing.clear()

    def thaw(self) -> None:
        self._flowing.set()

    def cut(self) -> None:
        for writer in self._lines:
            line: socket.socket | None = writer.get_extra_info("socket")
            if line is not None and line.fileno() >= 0:
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()
        self._lines.clear()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.dialled += 1
        there_reader, there_writer = await asyncio.open_connection(
            self._target.host, self._target.port
        )
        self._lines |= {writer, there_writer}
        for source, sink in ((reader, there_writer), (there_reader, writer)):
            pump = asyncio.create_task(self._pump(source, sink), name="pump")
            self._tasks.add(pump)
            pump.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        self.thaw()
        self.cut()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65_536):
                await self._flowing.wait()
                sink.write(data)
                await sink.drain()
        sink.close()


@asynccontextmanager
async def open_proxy(amqp_url: str) -> AsyncIterator[Proxy]:
    target = URL(amqp_url)
    proxy = Proxy(target)
    server = await asyncio.start_server(proxy.answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    proxy.url = str(target.with_host("127.0.0.1").with_port(port))
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
