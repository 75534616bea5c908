"""A line to a server that can be slow, silent or broken, as no real network is on demand.

The proxy listens on 127.0.0.1 and knows nothing of what it carries. A `Watch` does: it sees the
bytes of one line and may hold some back, or break the line at just this point. What was done is
counted, so that a test can fail because nothing was.
"""

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Final, Protocol

from tests.support.detour import Place, by_way_of, place_of

_RESET: Final = struct.pack("ii", 1, 0)  # linger for no time: closing sends a reset
_CHUNK: Final = 65_536
_ON_THE_WAY: Final = 64  # chunks that a slow line holds before its sender has to wait


class Cut(Exception):
    """Break the line here: both ends are reset, and nothing more is passed on."""


class HungUp(Exception):
    """End the line here: both ends are told that it is over."""


class Side(Enum):
    CLIENT = auto()
    SERVER = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How bytes travel in one direction; by default at once."""

    latency: float = 0.0  # seconds on the way
    jitter: float = 0.0  # seconds more, at most; order is kept
    rate: float | None = None  # bytes a second
    slices: int = _CHUNK  # the largest piece, in bytes
    close_after: int | None = None  # bytes of a line; then it ends


@dataclass(slots=True)
class Flow:
    """One direction of all lines, those that are open and those to come."""

    manner: Manner = field(default_factory=Manner)
    passed: int = 0  # bytes, before any watch
    moving: asyncio.Event = field(default_factory=asyncio.Event)
    dice: random.Random = field(default_factory=lambda: random.Random(0))

    def __post_init__(self) -> None:
        self.thaw()

    def freeze(self) -> None:
        """Make a black hole; as with real ones, what was sent into it may arrive afterwards."""
        self.moving.clear()

    def thaw(self) -> None:
        self.moving.set()

    def arrival(self) -> float:
        """Say when what is sent now arrives, by the clock of the loop."""
        on_the_way = self.manner.latency + self.manner.jitter * self.dice.random()
        return asyncio.get_running_loop().time() + on_the_way


class Watch(Protocol):
    """Sees the bytes of one line; answers what of them goes on, or raises `Cut`."""

    def up(self, data: bytes) -> bytes:
        """Look at what the client sends."""

    def down(self, data: bytes) -> bytes:
        """Look at what the server sends."""


class Unwatched:
    """Lets everything pass."""

    def __init__(self, _line: "Line") -> None: ...

    def up(self, data: bytes) -> bytes:
        return data

    def down(self, data: bytes) -> bytes:
        return data


@dataclass(slots=True, kw_only=True)
class _Pipe:
    """One direction of one line: a reader, a writer, and what is on its way between them."""

    line: "Line"
    flow: Flow
    source: asyncio.StreamReader
    sink: asyncio.StreamWriter
    look: Callable[[bytes], bytes]
    _under_way: asyncio.Queue[tuple[float, bytes]] = field(
        default_factory=lambda: asyncio.Queue(_ON_THE_WAY)
    )
    _passed: int = 0

    async def take(self) -> None:
        while data := await self.source.read(self.flow.manner.slices):
            await self._under_way.put((self.flow.arrival(), data))
        await self._under_way.put((self.flow.arrival(), b""))

    async def bring(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            arrival, data = await self._under_way.get()
            await asyncio.sleep(max(0.0, arrival - loop.time()))
            await self.flow.moving.wait()
            if not data:
                break
            if not self.line.is_half_open:
                await self._pass_on(data)
        if not self.line.is_half_open:
            self.sink.write_eof()

    async def _pass_on(self, data: bytes) -> None:
        manner = self.flow.manner
        if manner.close_after is not None:
            data = data[: max(0, manner.close_after - self._passed)]
        self._passed += len(data)
        self.flow.passed += len(data)
        self.sink.write(self.look(data))
        try:
            await self.sink.drain()
        except OSError:
            if not self.line.is_half_open:
                raise
        if manner.close_after is not None and self._passed >= manner.close_after:
            raise HungUp
        if manner.rate is not None:
            await asyncio.sleep(len(data) / manner.rate)


class Line:
    """One connection of a client, and the one to the server that goes with it."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self._client, self._server = client, server
        self.is_half_open = False

    def answer(self, data: bytes) -> None:
        """Tell the client something in the server's name."""
        self._client.write(data)

    def reset(self) -> None:
        for writer in (self._client, self._server):
            _reset(writer)

    def half_open(self, told: Side) -> None:
        """Reset the *told* side alone: to the other the line looks alive, and is silent."""
        self.is_half_open = True
        _reset(self._client if told is Side.CLIENT else self._server)

    async def carry(self, up: _Pipe, down: _Pipe) -> None:
        """Carry bytes both ways until both ends are done, or the line is broken."""
        try:
            async with asyncio.TaskGroup() as group:
                for pipe in (up, down):
                    group.create_task(pipe.take(), name="proxy takes")
                    group.create_task(pipe.bring(), name="proxy brings")
        except* HungUp:
            pass
        except* (Cut, OSError):
            self.reset()

    def close(self) -> None:
        self._client.close()
        self._server.close()


class Proxy:
    """Listens on `port`; `up` is what goes to the server, `down` what comes from it."""

    def __init__(self, place: Place, watch: Callable[[Line], Watch]) -> None:
        self.up, self.down = Flow(), Flow()
        self.dialled = 0
        self.url = ""
        self._place, self._watch = place, watch
        self._lines: dict[Line, asyncio.Task[None]] = {}
        self._ear = _bound(0)
        self.port: int = self._ear.getsockname()[1]
        self._server: asyncio.Server | None = None

    @property
    def open_lines(self) -> int:
        return len(self._lines)

    async def admit(self) -> None:
        """Let clients in."""
        self._server = await asyncio.start_server(self._serve, sock=self._ear)

    def refuse(self) -> None:
        """Refuse new connections, as a host does where nobody listens; open ones go on."""
        if self._server is not None:
            self._server.close()
            self._server = None
            self._ear = _bound(self.port)  # bound but not listening: nobody else gets the port

    def freeze(self) -> None:
        """Let no byte through, either way: nobody is told."""
        self.up.freeze()
        self.down.freeze()

    def thaw(self) -> None:
        self.up.thaw()
        self.down.thaw()

    def cut(self) -> None:
        """Reset every line, at both ends."""
        for line in self._lines:
            line.reset()
        self.hang_up()

    def hang_up(self) -> None:
        """End every line in good order, at both ends, whatever was still on its way."""
        for task in self._lines.values():
            task.cancel()

    def half_open(self, told: Side) -> None:
        """Break every line, and let only one side know."""
        for line in self._lines:
            line.half_open(told)

    async def close(self) -> None:
        self.refuse()
        self._ear.close()
        self.cut()
        if self._lines:
            await asyncio.wait(self._lines.values(), timeout=5)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.dialled += 1
        try:
            there_reader, there_writer = await _dial(self._place)
        except OSError:
            _reset(writer)
            return
        line = Line(writer, there_writer)
        watch = self._watch(line)
        up = _Pipe(line=line, flow=self.up, source=reader, sink=there_writer, look=watch.up)
        down = _Pipe(line=line, flow=self.down, source=there_reader, sink=writer, look=watch.down)
        task = asyncio.create_task(line.carry(up, down), name="proxy line")
        self._lines[line] = task
        task.add_done_callback(lambda _: self._end(line))

    def _end(self, line: Line) -> None:
        line.close()
        del self._lines[line]


async def _dial(place: Place) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if isinstance(place, Path):
        return await asyncio.open_unix_connection(place)
    return await asyncio.open_connection(*place)


def _bound(port: int) -> socket.socket:
    ear = socket.socket()
    ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    ear.bind(("127.0.0.1", port))
    return ear


def _reset(writer: asyncio.StreamWriter) -> None:
    line: socket.socket | None = writer.get_extra_info("socket")
    if line is not None and line.fileno() >= 0:
        with suppress(OSError):  # the other side was first
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


@asynccontextmanager
async def open_proxy(url: str, watch: Callable[[Line], Watch] = Unwatched) -> AsyncIterator[Proxy]:
    """Put a proxy before the server of *url*; its own `url` is the same by way of it."""
    proxy = Proxy(place_of(url), watch)
    proxy.url = by_way_of(url, proxy.port)
    await proxy.admit()
    try:
        yield proxy
    finally:
        await proxy.close()
