"""Thousands of WebSocket clients in one process: some that read, and some that never do."""

import asyncio
import base64
import os
import select
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any, Final, cast

from shared.contract.ids import JobId

_SMALL: Final = 4_096  # bytes: the receive buffer of a peer that does not read
_PATIENCE: Final = 60.0
_MARK: Final = b'"message":"at '
_OPENED: Final = b"HTTP/1.1 101"
_TRIES: Final = 20


def _upgrade(job_id: JobId) -> bytes:
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET /jobs/{job_id} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    ).encode()


class Listening(asyncio.Protocol):
    """Reads everything, and notes how long news of the time took to arrive."""

    def __init__(self, job_id: JobId, took: list[float]) -> None:
        self._job_id, self._took = job_id, took
        self._rest = b""
        self._transport: asyncio.WriteTransport | None = None
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)
        self._transport.write(_upgrade(self._job_id))

    def data_received(self, data: bytes) -> None:
        now = monotonic()
        if not self.opened.done():
            self._open(data)
        data = self._rest + data
        start = 0
        while (at := data.find(_MARK, start)) >= 0:
            end = data.find(b'"', at + len(_MARK))
            if end < 0:
                break
            self._took.append(now - float(data[at + len(_MARK) : end]))
            start = end
        self._rest = data[start:][-200:]
        if data.startswith((b"\x89\x00", b"\x89\x80")) and self._transport is not None:
            self._transport.write(b"\x8a\x80\0\0\0\0")  # a ping by itself: the answer to it

    def _open(self, data: bytes) -> None:
        if data.startswith(_OPENED):
            self.opened.set_result(None)
        else:
            self.opened.set_exception(ConnectionError(f"not upgraded: {data[:12]!r}"))

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        if not self.opened.done():
            self.opened.set_exception(exc or ConnectionError("the front closed"))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class Deaf:
    """Sockets that were opened and are never read; knows when each was cut off."""

    def __init__(self) -> None:
        self._watch = select.epoll()
        self._lines: dict[int, socket.socket] = {}
        self.cut_at: list[float] = []

    def add(self, line: socket.socket) -> None:
        self._lines[line.fileno()] = line
        self._watch.register(line.fileno(), select.EPOLLERR | select.EPOLLHUP | select.EPOLLRDHUP)

    def look(self) -> int:
        """Note which were cut off, and say how many are still connected."""
        for number, _ in self._watch.poll(0, 20_000):
            self._watch.unregister(number)
            self._lines.pop(number).close()
            self.cut_at.append(monotonic())
        return len(self._lines)

    def close(self) -> None:
        for line in self._lines.values():
            line.close()
        self._watch.close()


@asynccontextmanager
async def listening(
    port: int, jobs: Sequence[JobId], count: int, took: list[float], *, at_once: int
) -> AsyncIterator[list[Listening]]:
    """Have *count* sockets that read while inside; what is told on them goes into *took*."""
    loop = asyncio.get_running_loop()

    async def dial(number: int) -> Listening:
        _, ear = await loop.create_connection(
            lambda: Listening(jobs[number % len(jobs)], took), "127.0.0.1", port
        )
        try:
            await ear.opened
        except ConnectionError:
            ear.close()
            raise
        return ear

    ears = await _each(dial, count, at_once)
    try:
        yield ears
    finally:
        for ear in ears:
            ear.close()


@asynccontextmanager
async def deaf(
    port: int, jobs: Sequence[JobId], count: int, *, at_once: int
) -> AsyncIterator[Deaf]:
    """Have *count* sockets that read no byte after their upgrade."""
    loop = asyncio.get_running_loop()
    all_of_them = Deaf()

    async def dial(number: int) -> None:
        line = socket.socket()
        line.setblocking(False)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL)
        await loop.sock_connect(line, ("127.0.0.1", port))
        await loop.sock_sendall(line, _upgrade(jobs[number % len(jobs)]))
        answer = await loop.sock_recv(line, len(_OPENED))
        if answer != _OPENED:
            line.close()
            raise ConnectionError(f"not upgraded: {answer!r}")
        all_of_them.add(line)

    try:
        await _each(dial, count, at_once)
        yield all_of_them
    finally:
        all_of_them.close()


async def _each(do: Callable[[int], Any], count: int, at_once: int) -> list[Any]:
    """Do it *count* times; a front that is too busy is asked again, as it wishes."""
    turns = asyncio.Semaphore(at_once)

    async def in_turn(number: int) -> Any:
        async with turns, asyncio.timeout(_PATIENCE):
            for _ in range(_TRIES):
                try:
                    return await do(number)
                except ConnectionError:
                    await asyncio.sleep(1)
            return await do(number)

    return await asyncio.gather(*map(in_turn, range(count)))
