"""Where the frames of a watch come from: a socket of its own."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, Protocol

import aiohttp

from uketsuke.documents import Status, parse, read_status
from uketsuke.errors import BadAnswer, clean
from uketsuke.patience import Deadline
from uketsuke.wire import RedirectRefused, Wire, network_trouble

MOST_FRAME: Final = 1024 * 1024  # a status document carries 64 KiB of results at most


class NoSocket(Exception):
    """There is no socket to be had: ask over HTTP, which also says why."""


class Line(Protocol):
    """What one job is told on."""

    @property
    def close_code(self) -> int | None:
        """Why it was closed, if it was and somebody said so."""

    async def receive(self) -> Status | None:
        """Wait for the next status; ``None`` when the line is gone, for whatever reason."""


class Door(Protocol):
    """Opens lines."""

    def open(
        self, job_id: str, after: int | None, deadline: Deadline
    ) -> AbstractAsyncContextManager[Line]:
        """Have a line for one job while inside; raise ``NoSocket`` or ``Unreachable``."""


async def dial(
    wire: Wire, path: str, query: Mapping[str, str], deadline: Deadline
) -> aiohttp.ClientWebSocketResponse:
    """Open a WebSocket; raise ``NoSocket`` if there is somebody, but no socket."""
    url = wire.address(path)
    async with network_trouble(wire.base, deadline.seconds(wire.pace.silence)):
        try:
            return await wire.session.ws_connect(
                url.with_scheme("wss" if url.scheme == "https" else "ws"),
                params=query,
                headers=wire.headers_for(url),
                heartbeat=wire.pace.heartbeat.total_seconds(),
                max_msg_size=MOST_FRAME,
                timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
            )
        except (aiohttp.ClientResponseError, RedirectRefused) as error:
            raise NoSocket from error


def text_of(message: aiohttp.WSMessage) -> str | None:
    """Give the text of a frame; ``None`` at the end of a socket. Raises ``BadAnswer``."""
    match message.type, message.data:
        case aiohttp.WSMsgType.TEXT, str() as text:
            return text
        case aiohttp.WSMsgType.BINARY, _:
            raise BadAnswer("a binary frame on the socket of a job")
        case aiohttp.WSMsgType.ERROR, aiohttp.WebSocketError() as error:
            raise BadAnswer(f"a broken frame: {clean(error)}")
        case _:
            return None


class OwnSockets:
    """A door behind which each watch has a socket of its own."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    @asynccontextmanager
    async def open(self, job_id: str, after: int | None, deadline: Deadline) -> AsyncIterator[Line]:
        query = {} if after is None else {"after": str(after)}
        socket = await dial(self._wire, f"/jobs/{job_id}", query, deadline)
        try:
            yield _OwnLine(socket, job_id)
        finally:
            await socket.close()


class _OwnLine:
    def __init__(self, socket: aiohttp.ClientWebSocketResponse, job_id: str) -> None:
        self._socket, self._job_id = socket, job_id

    @property
    def close_code(self) -> int | None:
        return self._socket.close_code

    async def receive(self) -> Status | None:
        text = text_of(await self._socket.receive())
        return None if text is None else read_status(parse(text), self._job_id)
