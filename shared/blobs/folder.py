"""Blobs as files of one folder: durable before anybody is told of them, streamed both ways.

Durable is what is synced: file, name and folders. A name that a stranger chose never becomes part
of a path, and no file call holds the event loop.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

from shared.blobs.files import Files, translated
from shared.blobs.owner import owner_of
from shared.blobs.store import BlobStore, Stored, gathered
from shared.blobs.upload import Upload, place_of, remove_leftovers, sync_folder
from shared.blobs.walk import old_blobs
from shared.contract.errors import TooLarge, UnknownBlob
from shared.contract.ids import BlobId

_THREADS: Final = 8
_ABANDONED: Final = timedelta(days=1)


class FolderStore(BlobStore):
    """The blobs below one folder, which all processes share."""

    def __init__(self, folder: Path, files: Files, *, keep_free: float) -> None:
        super().__init__(files)
        self._folder, self._keep_free = folder, keep_free

    async def put(
        self, blob_id: BlobId, chunks: AsyncIterator[bytes], *, most_bytes: int
    ) -> Stored:
        upload = Upload(self._folder, blob_id, keep_free=self._keep_free)
        try:
            async with aclosing(gathered(chunks)) as pieces:
                async for piece in pieces:
                    if upload.size_bytes + len(piece) > most_bytes:
                        raise TooLarge(f"a file may have {most_bytes} bytes here")
                    await self._files.run(upload.write, piece)
            await self._files.run(upload.keep)
        finally:
            await self._files.run(upload.discard)
        return Stored(size_bytes=upload.size_bytes, sha256=upload.sha256)

    async def open(
        self, blob_id: BlobId, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        path = place_of(self._folder, blob_id)
        try:
            async with aclosing(self._files.read(path, start, end)) as chunks:
                async for chunk in chunks:
                    yield chunk
        except FileNotFoundError as error:
            raise UnknownBlob from error

    async def delete(self, blob_id: BlobId) -> None:
        await self._files.run(lambda: place_of(self._folder, blob_id).unlink(missing_ok=True))

    async def owner(self, whoever: str) -> str:
        return await self._files.run(owner_of, self._folder, whoever)

    async def aged(self, place: str, *, older: timedelta) -> tuple[list[BlobId], str]:
        return await self._files.run(old_blobs, self._folder, place, older)


@asynccontextmanager
async def open_folder(folder: Path, *, keep_free: float = 0.05) -> AsyncIterator[FolderStore]:
    """Open the store below *folder*, making it if need be; leaving waits for open file calls.

    *keep_free* is the part of the disk that uploads leave alone. Raises ``Unavailable`` when
    the folder cannot be had.
    """
    threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="blobs")
    try:
        with translated():
            await asyncio.wrap_future(threads.submit(_prepare, folder))
        yield FolderStore(folder, Files(threads), keep_free=keep_free)
    finally:
        await asyncio.to_thread(threads.shutdown)


def _prepare(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    sync_folder(folder.parent)
    remove_leftovers(folder, older_than=_ABANDONED)
