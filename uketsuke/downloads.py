"""Stream a file of a result to the disk: whole, or not at all.

The name that a server gives is only a label: nothing of it but a plain file name is used.
"""

import asyncio
import re
from datetime import timedelta
from email.message import Message
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

import aiohttp
from yarl import URL

from shared.contract.errors import UnknownBlob
from uketsuke.errors import BadAnswer, Unreachable
from uketsuke.patience import Deadline
from uketsuke.wire import (
    MOST_REDIRECTS,
    REDIRECTS,
    Wire,
    network_trouble,
    onward_from,
    refusal,
)

_CHUNK: Final = 256 * 1024
_REFUSALS: Final = 400
_LONGEST_NAME: Final = 120
_UNSAFE = re.compile(r"[^\w.() -]", re.ASCII)


async def download(wire: Wire, url: str, target: Path, until: Deadline) -> Path:
    """Bring what *url* links to to *target*, a file or a folder; answer where it is."""
    try:
        return await _fetch(wire, wire.address(url), target, until)
    except Unreachable as trouble:
        if until.allows(timedelta()):
            raise
        raise await until.run_out() from trouble


async def _fetch(wire: Wire, place: URL, target: Path, until: Deadline) -> Path:
    for _ in range(MOST_REDIRECTS + 1):
        async with (
            network_trouble(place.origin(), until.seconds()),
            wire.session.get(
                place, headers=wire.headers_for(place), allow_redirects=False
            ) as response,
        ):
            if response.status not in REDIRECTS:
                await _refuse_refusals(response)
                return await _save(response, target)
        place = onward_from(place, response.headers)
    raise BadAnswer(f"{wire.base} redirects more than {MOST_REDIRECTS} times")


async def _refuse_refusals(response: aiohttp.ClientResponse) -> None:
    if response.status >= _REFUSALS:
        body = await response.content.read(_CHUNK)
        raise refusal(response.status, response.headers, body, UnknownBlob)


async def _save(response: aiohttp.ClientResponse, target: Path) -> Path:
    into = target if await asyncio.to_thread(target.is_dir) else target.parent
    part = await asyncio.to_thread(
        lambda: NamedTemporaryFile(dir=into, prefix=".", suffix=".part", delete=False)  # noqa: SIM115  # closed below, then renamed
    )
    kept = Path(part.name)
    try:
        with part:
            async for chunk in response.content.iter_chunked(_CHUNK):
                await asyncio.to_thread(part.write, chunk)
        place = target if into != target else await asyncio.to_thread(_free, into, response)
        await asyncio.to_thread(kept.replace, place)
    finally:
        await asyncio.to_thread(kept.unlink, missing_ok=True)
    return place


def _free(folder: Path, response: aiohttp.ClientResponse) -> Path:
    """Find a name in *folder* that nothing has yet."""
    name = file_name(response.headers.get("Content-Disposition", ""), response.url)
    place, copy = folder / name, 1
    while place.exists():
        copy += 1
        place = folder / f"{Path(name).stem} ({copy}){Path(name).suffix}"
    return place


def file_name(disposition: str, url: URL) -> str:
    """Choose a plain file name from what the server says, else from the address."""
    header = Message()
    header["Content-Disposition"] = disposition
    said = header.get_filename() or url.name
    name = _UNSAFE.sub("_", re.split(r"[/\\]", said)[-1]).strip(" .")
    suffix = Path(name).suffix[-20:]
    return f"{Path(name).stem[:_LONGEST_NAME]}{suffix}" or "file"
