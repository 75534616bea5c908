"""Files: sent ahead of a request, and fetched out of a result."""

import asyncio
import re
from contextlib import aclosing
from typing import Final
from urllib.parse import quote, unquote

from aiohttp import hdrs, web

from front_service.api.answers import document
from front_service.api.bodies import single, stream
from front_service.keys import MARKS, PRINCIPAL, SETTINGS, UPLOADS
from front_service.refusals import BadRange
from shared.contract.authoring import Blob
from shared.contract.errors import UnsupportedMedia

_NAME: Final = re.compile(r'filename="?([^";]+)', re.IGNORECASE)
_ENCODED_NAME: Final = re.compile(r"filename\*=utf-8'[^']*'([^\s;]+)", re.IGNORECASE)
_PIECE: Final = 65_536
_PATIENCE: Final = 10.0  # seconds for one piece to leave

_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


async def upload(request: web.Request) -> web.Response:
    """``POST /api/blobs``: the body is the file."""
    if hdrs.CONTENT_ENCODING in request.headers:
        raise UnsupportedMedia("Send the file as it is, without Content-Encoding.")
    app = request.app
    async with aclosing(stream(request, app[SETTINGS].max_upload)) as chunks:
        blob = await app[UPLOADS].take(
            request[PRINCIPAL].tenant,
            chunks,
            name=_file_name(single(request, hdrs.CONTENT_DISPOSITION) or ""),
            content_type=single(request, hdrs.CONTENT_TYPE) or "",
        )
    return document(_described(blob), status=201, headers={hdrs.LOCATION: blob.url})


async def download(request: web.Request) -> web.StreamResponse:
    """``GET /api/blobs/{id}``, with ``Range`` and ``If-None-Match``."""
    uploads = request.app[UPLOADS]
    blob = await uploads.find(request[PRINCIPAL].tenant, request.match_info["id"])
    etag = f'"{blob.sha256}"'
    given = _headers(blob, etag) | request[MARKS]
    if request.headers.get(hdrs.IF_NONE_MATCH) in (etag, "*"):
        return web.Response(status=304, headers=given)
    wanted = None if _is_stale(request, etag) else _range(request, blob.size_bytes)
    start, end = wanted or (0, blob.size_bytes)
    if wanted is not None:
        given[hdrs.CONTENT_RANGE] = f"bytes {start}-{end - 1}/{blob.size_bytes}"
    response = web.StreamResponse(status=200 if wanted is None else 206, headers=given)
    response.content_length = end - start
    if request.method == hdrs.METH_HEAD:
        await response.prepare(request)
        return response
    async with aclosing(uploads.read(blob, start, end)) as chunks:
        first = await anext(chunks, b"")  # a file that is gone must be told before the 200
        await response.prepare(request)
        await send(request, response, first)
        async for chunk in chunks:
            await send(request, response, chunk)
    return response


async def send(request: web.Request, response: web.StreamResponse, chunk: bytes) -> None:
    """Write one piece; a reader that takes nothing for a while is cut off."""
    line = request.transport
    try:
        for start in range(0, len(chunk), _PIECE):
            async with asyncio.timeout(_PATIENCE):
                await response.write(chunk[start : start + _PIECE])
    except TimeoutError:
        if line is not None:
            line.abort()
        raise ConnectionError("the reader takes nothing") from None


def _file_name(disposition: str) -> str:
    """Read what the caller calls the file (RFC 6266): the encoded form counts first."""
    if encoded := _ENCODED_NAME.search(disposition):
        return unquote(encoded[1])
    plain = _NAME.search(disposition)
    return plain[1] if plain else ""


def _described(blob: Blob) -> dict[str, object]:
    return {
        "blobId": str(blob.id),
        "url": blob.url,
        "size": blob.size_bytes,
        "sha256": blob.sha256,
        "reference": f"blob:{blob.id}",
    }


def _headers(blob: Blob, etag: str) -> dict[str, str]:
    """Say what it is in a way that no browser can turn it into a page of ours."""
    return {
        hdrs.CONTENT_TYPE: blob.content_type if blob.content_type.isascii() else "",
        hdrs.CONTENT_DISPOSITION: f"attachment; filename*=UTF-8''{quote(blob.name, safe='')}",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
        hdrs.CACHE_CONTROL: "private, no-cache",
        hdrs.ACCEPT_RANGES: "bytes",
        hdrs.ETAG: etag,
        hdrs.SERVER: "uketsuke",
    }


def _is_stale(request: web.Request, etag: str) -> bool:
    """Whether the range was meant for other bytes than these (``If-Range``)."""
    return request.headers.get(hdrs.IF_RANGE, etag) != etag


def _range(request: web.Request, size: int) -> tuple[int, int] | None:
    """Read one range as start and end; several, or nonsense, mean the whole (RFC 9110, 14.2)."""
    found = _RANGE.fullmatch(request.headers.get(hdrs.RANGE, "").replace(" ", ""))
    if found is None or found.group(1, 2) == ("", ""):
        return None
    first, last = found.group(1, 2)
    if first == "":
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= size or start >= end:
        raise BadRange(size)
    return start, end
