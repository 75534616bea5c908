"""One WebSocket to a stranger, who may be slow, silent or hostile.

Nothing here waits longer than a bound for the other side: a peer that takes nothing, says
nothing, or says too much is closed, and cut off if it does not mind that either.
"""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from aiohttp import WSMessage, WSMsgType, web

from front_service.connection import Connection
from front_service.keys import SEAT
from front_service.push.pace import Pace

LARGEST_MESSAGE: Final = 65_536
_SEND_PATIENCE: Final = 9.0  # seconds for one frame to leave; with the good-bye they are ten
_CLOSE_PATIENCE: Final = 1.0
_BUFFER: Final = 16_384  # bytes for one peer in the kernel, and as many here
_MESSAGES: Final = 20  # a second
_PINGS: Final = 5  # a second
_HEARTBEAT: Final = 20.0  # seconds between two pings, however much else is sent
_SILENCE: Final = 45.0  # seconds without as much as a pong

_AT_ONCE: Final = struct.pack("ii", 1, 0)

NORMAL: Final = 1000
GOING_AWAY: Final = 1012
_BROKEN: Final = 1002
_UNSUPPORTED: Final = 1003
_POLICY: Final = 1008
INTERNAL: Final = 1011
GONE: Final = 4410
EXPIRED: Final = 4401  # what let the caller in, be it a token or a key, does not any more
_TOO_SLOW: Final = 4408


_THE_END: Final = frozenset((WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR))


Take = Callable[[str], Awaitable[None]]


class PeerLost(ConnectionError):
    """The other side is gone, or was cut off."""


class Socket:
    """A prepared WebSocket with small buffers."""

    def __init__(self, response: web.WebSocketResponse, transport: asyncio.Transport) -> None:
        self._response, self._transport = response, transport
        self.ping_at = asyncio.get_running_loop().time() + _HEARTBEAT
        self._sending_away: asyncio.Task[None] | None = None
        self._is_closing = False  # by us: then the good-bye must have its time

    @classmethod
    async def accept(
        cls, request: web.Request, headers: dict[str, str], protocols: tuple[str, ...] = ()
    ) -> "Socket":
        """Answer the upgrade; raise what aiohttp raises for a request that is none."""
        response = web.WebSocketResponse(
            timeout=_CLOSE_PATIENCE,
            protocols=protocols,
            autoping=False,
            compress=False,
            max_msg_size=LARGEST_MESSAGE,
            writer_limit=4_096,
        )
        response.headers.update(headers)
        transport = request.transport
        if transport is None:
            raise PeerLost
        shrink(transport)
        await response.prepare(request)
        accepted = cls(response, transport)
        if isinstance(request.protocol, Connection):
            request.protocol.on_bad_frames(flood=accepted.flooded, unmasked=accepted.unmasked)
        if (seat := request.get(SEAT)) is not None:
            seat.on_end(accepted.dismissed)
        return accepted

    @property
    def response(self) -> web.WebSocketResponse:
        return self._response

    async def send(self, body: bytes, kind: WSMsgType = WSMsgType.TEXT) -> None:
        """Send one frame; close a peer that takes nothing, and raise ``PeerLost``."""
        try:
            async with asyncio.timeout(_SEND_PATIENCE):
                await self._response.send_frame(body, kind)
        except TimeoutError:
            await self.close(_TOO_SLOW, b"too slow")
            cut(self._transport)
            raise PeerLost from None
        except ConnectionError:
            raise PeerLost from None

    async def ping(self) -> None:
        self.ping_at = asyncio.get_running_loop().time() + _HEARTBEAT
        await self.send(b"", WSMsgType.PING)

    async def close(self, code: int, reason: bytes = b"") -> None:
        """Say good-bye, and cut the line if that is not taken in a second."""
        self._is_closing = True
        try:
            async with asyncio.timeout(_CLOSE_PATIENCE):
                # aiohttp awaits the future of a drain that was cut off, and is cancelled with it
                await self._response.close(code=code, message=reason, drain=False)
        except (TimeoutError, ConnectionError):
            self._transport.abort()

    def abort(self) -> None:
        """Drop the line; after a proper close this does nothing."""
        self._transport.abort()

    def flooded(self) -> None:
        """Send a peer away whose frames are no longer looked at."""
        self._sending_away = asyncio.create_task(self.close(_POLICY, b"too many frames"))

    def unmasked(self) -> None:
        """Send a peer away that is no client: proxies could be made to read its frames as HTTP."""
        self._sending_away = asyncio.create_task(self.close(_BROKEN, b"no mask"))

    def dismissed(self) -> None:
        """Send a peer away whose key has ended; with another one it can resume."""
        self._sending_away = asyncio.create_task(self.close(EXPIRED, b"key has ended"))

    async def hear(self, take: Take | None = None) -> None:
        """Hand what the peer says to *take* until we close; raise ``PeerLost`` when it is gone.

        Without *take* it is ignored. A peer that says too much, or what is not spoken here, is
        closed.
        """
        messages, pings = Pace(_MESSAGES), Pace(_PINGS)
        while (message := await self._receive()) is not None:
            match message.type:
                case WSMsgType.PING if pings.allows():
                    await self.send(message.data, WSMsgType.PONG)
                case WSMsgType.PONG if pings.allows():
                    pass
                case WSMsgType.TEXT if messages.allows():
                    if take is not None:
                        await take(message.data)
                case WSMsgType.BINARY:
                    await self._send_away(_UNSUPPORTED, b"text only")
                case _:
                    await self._send_away(_POLICY, b"too many messages")

    async def _send_away(self, code: int, reason: bytes) -> None:
        await self.close(code, reason)
        raise PeerLost

    async def _receive(self) -> WSMessage | None:
        """Wait for a message; ``None`` once we close, ``PeerLost`` if the peer did."""
        try:
            async with asyncio.timeout(_SILENCE):
                message = await self._response.receive()
        except TimeoutError:
            raise PeerLost from None
        if message.type not in _THE_END:
            return message
        if self._sending_away is not None:
            await self._sending_away
        elif self._is_closing:
            return None
        raise PeerLost


def shrink(transport: asyncio.Transport) -> None:
    """Give one peer little memory: a slow reader must be felt soon, and cost little."""
    transport.set_write_buffer_limits(_BUFFER)
    line: socket.socket | None = transport.get_extra_info("socket")
    if line is not None:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)


def cut(transport: asyncio.Transport) -> None:
    """Drop a line at once, with all that was not taken.

    The kernel would else keep it for minutes, and try to deliver it to who does not read.
    """
    line: socket.socket | None = transport.get_extra_info("socket")
    if line is not None:
        with suppress(OSError):  # it is closed already
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    transport.abort()
