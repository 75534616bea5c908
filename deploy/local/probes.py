"""Ask the servers themselves whether they are ready: an open port proves nothing.

Every question is bounded, answers ``None`` or ``False`` instead of raising, and may be put
from a thread that already runs an event loop.
"""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import TypeVar

import aio_pika
import asyncpg
from aio_pika.exceptions import AMQPError

Answer = TypeVar("Answer")
_HEADER = b"AMQP\x00\x00\x09\x01"
_START = b"\x00\x0a\x00\x0a"  # connection.start: the first words of a broker that is up
_PATIENCE = 5.0


def _apart(ask: Callable[[], Coroutine[None, None, Answer]]) -> Answer:
    """Run *ask* in a loop and a thread of its own."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(lambda: asyncio.run(ask())).result()


def data_directory(url: str) -> str | None:
    """Ask the PostgreSQL behind *url* whose data it serves; ``None`` when it does not answer."""

    async def ask() -> str | None:
        try:
            async with asyncio.timeout(_PATIENCE):
                connection = await asyncpg.connect(url, timeout=_PATIENCE)
                try:
                    return str(await connection.fetchval("SHOW data_directory"))
                finally:
                    await connection.close()
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return None

    return _apart(ask)


def ensure_database(url: str, name: str) -> None:
    """Create the database *name*, over the connection *url*, unless it exists."""

    async def ask() -> None:
        connection = await asyncpg.connect(url, timeout=_PATIENCE)
        try:
            known = await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name)
            if not known:
                await connection.execute(f'CREATE DATABASE "{name}"')
        finally:
            await connection.close()

    _apart(ask)


def speaks_amqp(port: int) -> bool:
    """Tell whether a broker answers the AMQP header on 127.0.0.1:*port*."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE) as line:
            line.sendall(_HEADER)
            data = line.recv(64)
    except OSError:
        return False
    return data[:1] == b"\x01" and data[7:11] == _START


def opens_amqp(url: str) -> bool:
    """Tell whether a client may log in at *url* and open its virtual host."""

    async def ask() -> bool:
        try:
            async with asyncio.timeout(_PATIENCE):
                connection = await aio_pika.connect(url, timeout=_PATIENCE)
                await connection.close()
        except (OSError, TimeoutError, AMQPError):
            return False
        return True

    return _apart(ask)


def says_ready(host: str, port: int) -> bool:
    """Tell whether GET /readyz of the service at *host*:*port* answers 200."""
    line = HTTPConnection(host, port, timeout=_PATIENCE)  # not urlopen: it obeys proxy settings
    try:
        line.request("GET", "/readyz")
        return line.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        line.close()
