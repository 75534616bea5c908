"""Read the bodies of requests: judged by their head first, bounded in bytes and in time."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from enum import Enum, auto
from functools import lru_cache
from typing import Final, TypeVar

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.web_protocol import RequestPayloadError

from front_service.refusals import TooSlow
from shared.contract.errors import Malformed, TooLarge, UnsupportedMedia

T = TypeVar("T")

_PATIENCE: Final = 10.0  # seconds for a whole small body, or for the next piece of a large one
_GRACE: Final = 30.0  # seconds of waiting, after which a large body must have come at
_SLOWEST: Final = 1_024  # bytes a second or more, on the average
_JSON_TYPES: Final = frozenset(("", "application/json", "text/plain"))
_BROKEN: Final = (RequestPayloadError, ConnectionError)


class Kind(Enum):
    JSON = auto()
    MULTIPART = auto()
    OTHER = auto()


def kind_of(request: web.Request) -> Kind:
    """Tell what a submit's body claims to be; raise ``UnsupportedMedia`` or ``Malformed``."""
    if hdrs.CONTENT_ENCODING in request.headers:
        raise UnsupportedMedia("Send the body as it is, without Content-Encoding.")
    kind = _kind(single(request, hdrs.CONTENT_TYPE) or "")
    if kind is Kind.OTHER:
        raise UnsupportedMedia("Send application/json in UTF-8, or multipart/form-data.")
    return kind


@lru_cache(maxsize=256)
def _kind(content_type: str) -> Kind:
    media, *parameters = (part.strip().lower() for part in content_type.split(";"))
    if media == "multipart/form-data":
        return Kind.MULTIPART
    charsets = {p.partition("=")[2].strip('"') for p in parameters if p.startswith("charset=")}
    return Kind.JSON if media in _JSON_TYPES and charsets <= {"utf-8", "utf8"} else Kind.OTHER


def single(request: web.Request, name: str) -> str | None:
    """Read a header that must not come twice."""
    values = request.headers.getall(name, None)
    if values is None:
        return None
    if len(values) > 1:
        raise Malformed(f"{name} is given more than once.")
    return values[0]


def check_length(request: web.Request, most_bytes: int) -> None:
    """Refuse a body by the length that it announces."""
    length = request.content_length
    if length is not None and length > most_bytes:
        raise TooLarge(f"At most {most_bytes} bytes are taken here.")


async def asked_later(_: web.Request) -> None:
    """Answer no ``Expect`` yet: whoever reads the body asks for it, once nothing speaks against."""


async def ask_for_body(request: web.Request) -> None:
    """Send the ``100 Continue`` that the client waits for, if it does."""
    if hdrs.EXPECT in request.headers and request.version == HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer itself has not begun


async def read_small(request: web.Request, most_bytes: int) -> bytes:
    """Read a body of at most *most_bytes*; raise ``TooLarge`` or ``TooSlow``."""
    check_length(request, most_bytes)
    await ask_for_body(request)
    content = request.content
    if content.is_eof():  # it came together with its head, as most do
        try:
            raw = content.read_nowait(-1)
        except _BROKEN:
            raise Malformed("The body broke off.") from None
        if len(raw) > most_bytes:
            raise TooLarge
        return raw
    return await in_time(_gather(content.readany, most_bytes))


class Inflow:
    """A body that is taken piece by piece: bounded in all, and never for long at a crawl.

    Only the waiting for the client counts: a slow disk of ours is not its fault.
    """

    def __init__(self, request: web.Request, most_bytes: int) -> None:
        check_length(request, most_bytes)
        self._most_bytes = most_bytes
        self._size, self._waited = 0, 0.0

    async def next(self, reading: Awaitable[bytes]) -> bytes:
        """Wait for the next piece; raise ``TooSlow`` or ``TooLarge``."""
        now = asyncio.get_running_loop().time
        began = now()
        piece = await in_time(reading)
        self._waited += now() - began
        self._size += len(piece)
        if self._size > self._most_bytes:
            raise TooLarge(f"At most {self._most_bytes} bytes are taken here.")
        if self._waited > _GRACE and self._size < self._waited * _SLOWEST:
            raise TooSlow
        return piece


async def stream(request: web.Request, most_bytes: int) -> AsyncGenerator[bytes, None]:
    """Give a large body piece by piece; raise ``TooLarge`` or ``TooSlow``."""
    inflow = Inflow(request, most_bytes)
    await ask_for_body(request)
    content = request.content
    while piece := await inflow.next(content.readany()):
        yield piece


async def in_time(reading: Awaitable[T]) -> T:
    """Wait for what the client should send; raise ``TooSlow``, or ``Malformed`` if it broke off."""
    try:
        async with asyncio.timeout(_PATIENCE):
            return await reading
    except TimeoutError:
        raise TooSlow from None
    except _BROKEN:
        raise Malformed("The body broke off.") from None


async def _gather(read: Callable[[], Awaitable[bytes]], most_bytes: int) -> bytes:
    pieces, size = [], 0
    while piece := await read():
        pieces.append(piece)
        size += len(piece)
        if size > most_bytes:
            raise TooLarge(f"At most {most_bytes} bytes are taken here.")
    return b"".join(pieces)
