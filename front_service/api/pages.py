"""``/docs``: a page that shows the OpenAPI document, and the files it is made of.

Everything comes from this package: the page works without any other machine, and is told by its
policy to speak to none.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from aiohttp import hdrs, web

from front_service.api.blobs import send
from front_service.keys import MARKS
from front_service.refusals import NoSuchPlace

_STATIC: Final = Path(__file__).parents[1] / "static"
_PIECE: Final = 65_536

FILES: Final[Mapping[str, str]] = {
    "docs.css": "text/css",
    "docs.js": "text/javascript",
    "vendor/swagger-ui-bundle.js": "text/javascript",
    "vendor/swagger-ui.css": "text/css",
}
"""What the page is made of, each with its type; nothing else of the folder is served."""

_BY_NAME: Final = {path.rpartition("/")[2]: path for path in FILES}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "style-src 'self' 'unsafe-inline'; "  # Swagger UI sets styles of its own
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


async def docs(request: web.Request) -> web.StreamResponse:
    """``GET /docs``."""
    headers = {
        "Content-Security-Policy": _POLICY,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
    }
    return await _file(request, "docs.html", "text/html; charset=utf-8", headers)


async def docs_file(request: web.Request) -> web.StreamResponse:
    """``GET /docs/{file}``."""
    path = _BY_NAME.get(request.match_info["file"])
    if path is None:
        raise NoSuchPlace
    return await _file(request, path, f"{FILES[path]}; charset=utf-8", {})


async def _file(
    request: web.Request, path: str, content_type: str, headers: Mapping[str, str]
) -> web.StreamResponse:
    """Send one file piece by piece: a slow reader costs no more than one of them."""
    with await asyncio.to_thread((_STATIC / path).open, "rb") as file:
        seen = await asyncio.to_thread((_STATIC / path).stat)
        etag = f'"{seen.st_size:x}-{seen.st_mtime_ns:x}"'
        given = {
            hdrs.CACHE_CONTROL: "no-cache",
            hdrs.ETAG: etag,
            hdrs.SERVER: "uketsuke",
            "X-Content-Type-Options": "nosniff",
        }
        given |= {**headers} | request[MARKS]
        if request.headers.get(hdrs.IF_NONE_MATCH) == etag:
            return web.Response(status=304, headers=given)
        response = web.StreamResponse(headers=given | {hdrs.CONTENT_TYPE: content_type})
        response.content_length = seen.st_size
        await response.prepare(request)
        if request.method != hdrs.METH_HEAD:
            while piece := await asyncio.to_thread(file.read, _PIECE):
                await send(request, response, piece)
        return response
