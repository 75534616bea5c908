"""A PostgreSQL primary with one synchronous standby, and one address for whoever is primary.

Both are durable, private, and reached through sockets in folders of mode 0700 or by 127.0.0.1.
What the primary has confirmed, the standby has on its disk.
"""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from deploy.local.postgres import Postgres
from deploy.local.postgres_programs import find_programs
from tests.support.waiting import until

_NAME = "standby"  # as the primary knows it, by its cluster_name


class StandbyPair:
    """Made by ``open_pair``; both servers can be killed, frozen and thawed one by one."""

    def __init__(self, folder: Path) -> None:
        self.primary = Postgres(folder / "primary", tcp=True)
        self.standby = Postgres(folder / "standby", tcp=True, settings={"cluster_name": _NAME})

    async def open(self) -> None:
        """Start the primary, copy it, start the copy, and let no commit go on without it."""
        await asyncio.to_thread(self.primary.start)
        await asyncio.to_thread(self._copy)
        await asyncio.to_thread(self.standby.start)
        await ask(self.primary, f"ALTER SYSTEM SET synchronous_standby_names = '{_NAME}'")
        await ask(self.primary, "SELECT pg_reload_conf()")
        await until(self.is_synchronous, within=10, what="the standby is synchronous")

    async def close(self) -> None:
        for server in (self.standby, self.primary):
            if server.pid:
                server.thaw()
            await asyncio.to_thread(server.stop)

    async def is_synchronous(self) -> bool:
        question = "SELECT sync_state FROM pg_stat_replication WHERE application_name = $1"
        return await ask(self.primary, question, _NAME) == "sync"

    async def promote(self) -> str:
        """Make the standby a primary; answer its address. What becomes of the old one is open."""
        assert await ask(self.standby, "SELECT pg_promote(true, 20)"), "it was not promoted in time"
        return tcp_url(self.standby)

    def _copy(self) -> None:
        """Take a base backup to where the standby expects its data."""
        state = self.standby.state
        state.mkdir(parents=True)
        shutil.copyfile(self.primary.state / "password", state / "password")
        (state / "password").chmod(0o600)
        subprocess.run(
            [
                *(find_programs() / "pg_basebackup", "-D", state / "data"),
                *("-d", self.primary.url, "-X", "stream", "-c", "fast", "-R"),
            ],
            check=True,
            capture_output=True,
            cwd="/",
        )


async def ask(server: Postgres, question: str, *args: object, database: str = "") -> object:
    """Put one question to *server* itself, through its socket, past every address."""
    url = server.url if not database else urlunsplit(urlsplit(server.url)._replace(path=database))
    connection = await asyncpg.connect(url, timeout=5)
    try:
        if args:
            return await connection.fetchval(question, *args)
        return await connection.fetchval(question)
    finally:
        await connection.close()


def tcp_url(server: Postgres) -> str:
    assert server.tcp_url is not None
    return server.tcp_url


class Address:
    """A port of 127.0.0.1 that leads to one server, and after ``turn`` to another."""

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self._lines: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self.port = 0
        self.cut = 0  # lines that a turn has ended

    @property
    def url(self) -> str:
        here = f"{self._target.username}:{self._target.password}@127.0.0.1:{self.port}"
        return urlunsplit(self._target._replace(netloc=here))

    def turn(self, url: str) -> None:
        """Lead to the server at *url* from now on; nobody keeps a line to the old one.

        The password stays that of the old one, as it does with a standby.
        """
        self._target = self._target._replace(netloc=urlsplit(url).netloc)
        self.cut += len(self._lines) // 2
        for writer in self._lines:
            writer.transport.abort()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection(self._target.hostname, self._target.port)
        except OSError:
            writer.transport.abort()
            return
        for source, sink in ((reader, there[1]), (there[0], writer)):
            self._lines.add(sink)
            pump = asyncio.create_task(self._pump(source, sink), name="pump")
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65_536):
                sink.write(data)
                await sink.drain()
        sink.close()
        self._lines.discard(sink)

    async def close(self) -> None:
        for writer in self._lines:
            writer.transport.abort()
        if self._pumps:
            await asyncio.wait(self._pumps, timeout=5)


@asynccontextmanager
async def open_address(url: str) -> AsyncIterator[Address]:
    """Have an address that leads to the server at *url* for the length of a block."""
    address = Address(url)
    server = await asyncio.start_server(address.answer, "127.0.0.1", 0)
    address.port = server.sockets[0].getsockname()[1]
    try:
        yield address
    finally:
        server.close()
        await address.close()


@asynccontextmanager
async def open_pair(folder: Path) -> AsyncIterator[StandbyPair]:
    """Have a primary and its standby in *folder* for the length of a block."""
    pair = StandbyPair(folder)
    try:
        await pair.open()
        yield pair
    finally:
        await pair.close()
