"""Files that go along with a submit, as one multipart body that is streamed.

A path and bytes can be sent again when a try fails; a stream that the caller hands over is read
once, so a submit with one is tried once. What is handed over is not closed here.
"""

import asyncio
import mimetypes
from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Final

import aiohttp

Upload = Path | bytes | AsyncIterable[bytes] | BinaryIO
Files = Mapping[str, Upload | list[Upload]]
"""Sources by the request member that each becomes; several become a list."""

_CHUNK: Final = 64 * 1024


def listed(files: Files) -> list[tuple[str, Upload]]:
    """List the files one by one.

    Raises the usual ``OSError`` for a path that cannot be read, before anything is sent.
    """
    found: list[tuple[str, Upload]] = []
    for member, given in files.items():
        several = given if isinstance(given, list) else [given]
        found.extend((member, source) for source in several)
    for _, source in found:
        if isinstance(source, Path):
            source.open("rb").close()
    return found


def are_repeatable(files: Sequence[tuple[str, Upload]]) -> bool:
    return all(isinstance(source, Path | bytes) for _, source in files)


def form(request: bytes, files: Sequence[tuple[str, Upload]]) -> aiohttp.FormData:
    """Build a fresh body: the part ``request``, then one part for each file."""
    body = aiohttp.FormData(default_to_multipart=True)
    body.add_field("request", request.decode(), content_type="application/json")
    for member, source in files:
        name = _name(member, source)
        guessed = mimetypes.guess_type(name)[0] or "application/octet-stream"
        body.add_field(member, _chunks(source), filename=name, content_type=guessed)
    return body


def _name(member: str, source: Upload) -> str:
    given = source.name if isinstance(source, Path) else getattr(source, "name", None)
    return Path(given).name if isinstance(given, str) else member


async def _chunks(source: Upload) -> AsyncIterator[bytes]:
    match source:
        case bytes():
            for start in range(0, len(source), _CHUNK):
                yield source[start : start + _CHUNK]
        case Path():
            file = await asyncio.to_thread(source.open, "rb")
            try:
                while chunk := await asyncio.to_thread(file.read, _CHUNK):
                    yield chunk
            finally:
                file.close()
        case AsyncIterable():
            async for chunk in source:
                yield chunk
        case _:
            while chunk := await asyncio.to_thread(source.read, _CHUNK):
                yield chunk
