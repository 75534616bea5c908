"""A line to PostgreSQL that can be cut in mid-sentence.

Either before a message arrives, or after it was answered and before the answer is heard.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit, urlunsplit

_RESET: Final = struct.pack("ii", 1, 0)  # linger for no time: closing sends a reset
_MOST: Final = 65_536


@dataclass(slots=True)
class Line:
    """Forwards bytes both ways, until a client says the word at which it is to be cut."""

    host: str
    port: int
    url: str = ""
    cuts: int = 0
    _word: bytes = b""
    _after: bool = False
    _then_refuse: bool = False
    _is_open: bool = True
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def cut_at(self, word: bytes, *, after: bool, then_refuse: bool = False) -> None:
        """Cut the next connection whose client says *word*, once.

        With *after* the server hears it and answers, and nobody hears the answer. With
        *then_refuse* nobody can connect any more until ``open_again``.
        """
        self._word, self._after, self._then_refuse = word, after, then_refuse

    def open_again(self) -> None:
        self._is_open = True

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if not self._is_open:
            _reset(writer)
            return
        there_reader, there_writer = await asyncio.open_connection(self.host, self.port)
        back = asyncio.create_task(_pump(there_reader, writer), name="answers")
        try:
            with suppress(OSError):
                await self._ask(reader, writer, there_writer, back, there_reader)
        finally:
            back.cancel()
            await asyncio.wait([back])
            there_writer.close()
            writer.close()

    async def _ask(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        there: asyncio.StreamWriter,
        back: asyncio.Task[None],
        answers: asyncio.StreamReader,
    ) -> None:
        while data := await reader.read(_MOST):
            if self._word and self._word in data:
                self._word, self._is_open = b"", not self._then_refuse
                self.cuts += 1
                back.cancel()
                await asyncio.wait([back])
                if self._after:
                    there.write(data)
                    await answers.read(_MOST)  # the server has done it, and says so
                _reset(writer)
                return
            there.write(data)
            await there.drain()

    async def close(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(_MOST):
            sink.write(data)
            await sink.drain()
        sink.close()  # the server has said goodbye


def _reset(writer: asyncio.StreamWriter) -> None:
    line: socket.socket = writer.get_extra_info("socket")
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


@asynccontextmanager
async def open_line(database_url: str) -> AsyncIterator[Line]:
    target = urlsplit(database_url)
    line = Line(target.hostname or "127.0.0.1", target.port or 5432)
    server = await asyncio.start_server(line.answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    user, _, _ = target.netloc.rpartition("@")
    line.url = urlunsplit(target._replace(netloc=f"{user}@127.0.0.1:{port}"))
    try:
        yield line
    finally:
        server.close()
        await line.close()
