"""Bring the file at an address to a local path, without being led anywhere it must not go.

No redirects, no proxies, no cookies, no decompression; size and time are capped. What the file
says of its own type or name is never asked.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from threading import Lock
from typing import BinaryIO, Final

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from back_service.egress import AddressDenied, Egress
from shared.contract.addresses import PUBLIC_PORTS, read_address
from shared.contract.authoring import Fail, Retry

_PIECE: Final = 1 << 20
_LONGEST_WAIT: Final = 3_600
_GONE = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_LATER = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
_FIRST_OF_SERVER = 500
_HEADERS: Final = {"User-Agent": "Uketsuke", "Accept": "*/*", "Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a server may take: in all, to be reached, and between two pieces."""

    total: timedelta = timedelta(minutes=5)
    connect: timedelta = timedelta(seconds=10)
    idle: timedelta = timedelta(seconds=15)


class Fetcher:
    """Fetches files for handlers; each fetch has a connection of its own."""

    def __init__(
        self, egress: Egress, patience: Patience, resolver: AbstractResolver | None
    ) -> None:
        self._egress, self._resolver = egress, resolver
        self._timeout = aiohttp.ClientTimeout(
            total=patience.total.total_seconds(),
            sock_connect=patience.connect.total_seconds(),
            sock_read=patience.idle.total_seconds(),
        )

    async def fetch(self, url: str, path: Path, *, most_bytes: int) -> None:
        """Write the file at *url* to a new file at *path*.

        What *url* says is judged before anything is looked up, and where it leads at the socket.
        Raises ``Fail`` with ``file_refused``, ``file_not_found`` or ``file_too_large``, and
        ``Retry`` for trouble that may pass: of the network, of the server, of our disk.
        """
        address = _vetted(url, self._egress)
        try:
            await self._fetch(address, path, most_bytes)
        except AddressDenied as error:
            raise Fail("file_refused", "The file's address may not be fetched from") from error
        except (aiohttp.InvalidURL, aiohttp.ClientConnectorCertificateError) as error:
            raise Fail("file_refused", "The file's server cannot be trusted") from error
        except (TimeoutError, aiohttp.ClientError) as error:
            raise Retry("The file's server does not answer as it should") from error
        except OSError as error:
            raise Retry("The file cannot be stored now") from error

    async def _fetch(self, address: URL, path: Path, most_bytes: int) -> None:
        async with (
            aiohttp.ClientSession(
                connector=self._egress.connector(self._resolver, secure=address.scheme == "https"),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                timeout=self._timeout,
            ) as session,
            session.get(address, allow_redirects=False, headers=_HEADERS) as response,
        ):
            _judge_answer(response)
            if (response.content_length or 0) > most_bytes:
                raise _too_large(most_bytes)
            await _store(response, path, most_bytes)


@asynccontextmanager
async def open_fetcher(
    *,
    allow_cidrs: Iterable[str] = (),
    ports: Iterable[int] = PUBLIC_PORTS,
    patience: Patience = Patience(),
    resolver: AbstractResolver | None = None,
) -> AsyncIterator[Fetcher]:
    """Open a fetcher. *allow_cidrs* are private networks that are open, on every port.

    Raises ``ValueError`` for a network that is none.
    """
    yield Fetcher(Egress(allow=allow_cidrs, ports=ports), patience, resolver)


def _vetted(url: str, egress: Egress) -> URL:
    """Parse *url*, or raise ``Fail`` for one whose text alone says that it may not be fetched."""
    try:
        fault = egress.fault(read_address(url))
    except ValueError as error:
        fault = str(error)
    if fault is not None:
        raise Fail("file_refused", f"The file's address {fault}")
    try:
        return URL(url)
    except ValueError as error:
        raise Fail("file_refused", "The file's address cannot be read") from error


def _judge_answer(response: aiohttp.ClientResponse) -> None:
    status = response.status
    if status in _GONE:
        raise Fail("file_not_found", "The file's server does not have it")
    if status in _LATER or status >= _FIRST_OF_SERVER:
        raise Retry(f"The file's server answered {status}", after=_wished(response))
    if status in range(300, 400):
        raise Fail(
            "file_refused", "The file's server sent us elsewhere; redirects are not followed"
        )
    if status != HTTPStatus.OK:
        raise Fail("file_refused", f"The file's server answered {status}")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Fail("file_refused", "The file's server compressed it, though asked not to")


def _wished(response: aiohttp.ClientResponse) -> timedelta | None:
    """Read ``Retry-After`` in seconds; a date, or an hour and more, is passed over."""
    text = response.headers.get("Retry-After", "")
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(_LONGEST_WAIT))):
        return None
    return timedelta(seconds=min(int(text), _LONGEST_WAIT))


class _Target:
    """A new file that threads write. Closing waits for a write that a cancel has left behind."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, Lock()
        self._file: BinaryIO | None = None

    def write(self, piece: bytes) -> None:
        with self._lock:
            if self._file is None:
                self._file = self._path.open("xb")
            self._file.write(piece)

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                self._file.close()


async def _store(response: aiohttp.ClientResponse, path: Path, most_bytes: int) -> None:
    """Write in threads, a MiB at a time: neither a slow disk nor a crowd of packets holds us."""
    target, size, waiting = _Target(path), 0, bytearray()
    try:
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > most_bytes:
                raise _too_large(most_bytes)
            waiting += chunk
            if len(waiting) >= _PIECE:
                await asyncio.to_thread(target.write, bytes(waiting))
                waiting.clear()
        await asyncio.to_thread(target.write, bytes(waiting))
    finally:
        await asyncio.to_thread(target.close)


def _too_large(most_bytes: int) -> Fail:
    return Fail("file_too_large", f"A file may have {most_bytes} bytes here")
