"""A peer on a raw socket, who may send whatever he likes."""

import asyncio
import base64
import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import orjson

PATIENCE = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> object:
        return orjson.loads(self.body)["code"]


@dataclass(frozen=True, slots=True)
class Peer:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, within: float = PATIENCE) -> Answer:
        """Read one response with a Content-Length."""
        async with asyncio.timeout(within):
            head = await self.reader.readuntil(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").rstrip().split("\r\n")
            headers = {name.lower(): value for name, _, value in (x.partition(": ") for x in lines)}
            status = int(first.split()[1])
            size = 0 if status == 100 else int(headers.get("content-length", 0))
            return Answer(status=status, headers=headers, body=await self.reader.readexactly(size))

    async def is_closed(self, within: float = PATIENCE) -> bool:
        """Wait until the server has closed; read and forget what it still says."""
        try:
            async with asyncio.timeout(within):
                while await self.reader.read(65_536):
                    pass
        except TimeoutError:
            return False
        except ConnectionError:
            return True
        return True

    async def upgrade(self, path: str) -> Answer:
        key = base64.b64encode(os.urandom(16)).decode()
        await self.send(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        return await self.answer()

    async def frame(self) -> tuple[int, bytes]:
        """Read one WebSocket frame: its opcode and what it carries."""
        async with asyncio.timeout(PATIENCE):
            first, second = await self.reader.readexactly(2)
            size = second & 0x7F
            if size == 126:
                (size,) = struct.unpack(">H", await self.reader.readexactly(2))
            elif size == 127:
                (size,) = struct.unpack(">Q", await self.reader.readexactly(8))
            return first & 0x0F, await self.reader.readexactly(size)


def masked(opcode: int, payload: bytes, *, final: bool = True) -> bytes:
    """Write a frame as a client must."""
    first = opcode | (0x80 if final else 0)
    if len(payload) < 126:
        head = bytes((first, 0x80 | len(payload)))
    elif len(payload) < 65_536:
        head = bytes((first, 0x80 | 126)) + struct.pack(">H", len(payload))
    else:
        head = bytes((first, 0x80 | 127)) + struct.pack(">Q", len(payload))
    return head + b"\0\0\0\0" + payload  # a mask of zeros changes nothing


@asynccontextmanager
async def connect(port: int, *, receive_buffer: int | None = None) -> AsyncIterator[Peer]:
    """Dial; a small *receive_buffer* makes a peer that is soon full."""
    line = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    line.setblocking(False)
    if receive_buffer is not None:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    await asyncio.get_running_loop().sock_connect(line, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=line, limit=4_096)
    try:
        yield Peer(reader, writer)
    finally:
        writer.close()
