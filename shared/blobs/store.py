"""Blobs as files of one folder: durable before anybody is told of them, streamed both ways.

A blob is written once and never changed. What ``put`` has answered survives a power cut: file,
name and folders are synced. A name that a stranger chose never becomes part of a path, and no
file call holds the event loop.
"""

import asyncio
import hashlib
import os
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from errno import ENOENT
from pathlib import Path
from typing import BinaryIO, Final, TypeVar, TypeVarTuple

from shared.blobs.owner import owner_of
from shared.blobs.upload import Upload, place_of, remove_leftovers, sync_folder
from shared.blobs.walk import old_blobs
from shared.contract.errors import TooLarge, Unavailable, UnknownBlob
from shared.contract.ids import BlobId

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_WRITE_SIZE: Final = 1 << 20
_READ_SIZE: Final = 1 << 18
_THREADS: Final = 8
_ABANDONED: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What is known of a blob once it is durable."""

    size_bytes: int
    sha256: str


class BlobStore:
    """The blobs below one folder. Several processes may share it."""

    def __init__(self, folder: Path, threads: ThreadPoolExecutor, *, keep_free: float) -> None:
        self._folder, self._threads, self._keep_free = folder, threads, keep_free

    async def put(
        self, blob_id: BlobId, chunks: AsyncIterator[bytes], *, most_bytes: int
    ) -> Stored:
        """Store *chunks* as *blob_id*; the blob is durable when this returns.

        Raises ``TooLarge`` above *most_bytes* and ``Unavailable`` when the disk cannot take it;
        nothing is left behind then, nor when *chunks* raises or the caller is cancelled.
        """
        upload = Upload(self._folder, blob_id, keep_free=self._keep_free)
        try:
            async with aclosing(_gathered(chunks)) as pieces:
                async for piece in pieces:
                    if upload.size_bytes + len(piece) > most_bytes:
                        raise TooLarge(f"a file may have {most_bytes} bytes here")
                    await self._run(upload.write, piece)
            await self._run(upload.keep)
        finally:
            await self._run(upload.discard)
        return Stored(size_bytes=upload.size_bytes, sha256=upload.sha256)

    async def put_file(self, blob_id: BlobId, path: Path, *, most_bytes: int) -> Stored:
        """Store the regular file at *path*, as ``put`` does. A link is not followed."""
        async with aclosing(self._read(path, 0, None)) as chunks:
            return await self.put(blob_id, chunks, most_bytes=most_bytes)

    async def open(
        self, blob_id: BlobId, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Stream the bytes from *start* up to but without *end*.

        Raises ``UnknownBlob`` before the first chunk. A blob that is deleted meanwhile is still
        read to its end.
        """
        try:
            async with aclosing(self._read(place_of(self._folder, blob_id), start, end)) as chunks:
                async for chunk in chunks:
                    yield chunk
        except FileNotFoundError as error:
            raise UnknownBlob from error

    async def copy_to(self, blob_id: BlobId, path: Path, *, most_bytes: int) -> Stored:
        """Copy a blob to a new file at *path*: the copy may be changed, the blob may not."""
        digest, size = hashlib.sha256(), 0
        target = await self._run(_open_new, path, undo=_close)
        try:
            async with aclosing(self.open(blob_id)) as pieces:
                async for piece in pieces:
                    size += len(piece)
                    if size > most_bytes:
                        raise TooLarge(f"a file may have {most_bytes} bytes here")
                    await self._run(target.write, piece)
                    digest.update(piece)
        finally:
            await self._run(target.close)
        return Stored(size_bytes=size, sha256=digest.hexdigest())

    async def delete(self, blob_id: BlobId) -> None:
        """Remove a blob; one that is not there is no error."""
        await self._run(lambda: place_of(self._folder, blob_id).unlink(missing_ok=True))

    async def owner(self, whoever: str) -> str:
        """Answer to whom the folder belongs: to *whoever*, if it was nobody's."""
        return await self._run(owner_of, self._folder, whoever)

    async def aged(self, place: str, *, older: timedelta) -> tuple[list[BlobId], str]:
        """List some blobs written longer ago than *older*, and the place to go on from.

        Begins at *place*, at first ``START``, which is also what follows the last of them.
        """
        return await self._run(old_blobs, self._folder, place, older)

    async def _read(self, path: Path, start: int, end: int | None) -> AsyncGenerator[bytes, None]:
        source = await self._run(_open_regular, path, start, undo=os.close)
        try:
            left = None if end is None else max(0, end - start)
            while left is None or left > 0:
                wanted = _READ_SIZE if left is None else min(_READ_SIZE, left)
                piece = await self._run(os.read, source, wanted)
                if not piece:
                    return
                left = None if left is None else left - len(piece)
                yield piece
        finally:
            await self._run(os.close, source)

    async def _run(
        self,
        step: Callable[[*Ts], T],
        *args: *Ts,
        undo: Callable[[T], object] | None = None,
    ) -> T:
        """Do one file call in a thread; a cancel waits for it, for its file is still in use.

        *undo* gives back what a call has opened of which nobody learns any more.
        """
        call = asyncio.wrap_future(self._threads.submit(step, *args))
        try:
            with _translated():
                return await asyncio.shield(call)
        except asyncio.CancelledError:
            await asyncio.wait([call])
            if not call.cancelled() and call.exception() is None and undo is not None:
                undo(call.result())
            raise


@asynccontextmanager
async def open_blobs(folder: Path, *, keep_free: float = 0.05) -> AsyncIterator[BlobStore]:
    """Open the store below *folder*, making it if need be; leaving waits for open file calls.

    *keep_free* is the part of the disk that uploads leave alone. Raises ``Unavailable`` when
    the folder cannot be had.
    """
    threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="blobs")
    try:
        with _translated():
            await asyncio.wrap_future(threads.submit(_prepare, folder))
        yield BlobStore(folder, threads, keep_free=keep_free)
    finally:
        await asyncio.to_thread(threads.shutdown)


def _prepare(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    sync_folder(folder.parent)
    remove_leftovers(folder, older_than=_ABANDONED)


def _open_new(path: Path) -> BinaryIO:
    return path.open("xb")


def _close(file: BinaryIO) -> None:
    file.close()


def _open_regular(path: Path, start: int) -> int:
    source = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # a pipe must not block
    if not stat.S_ISREG(os.fstat(source).st_mode):
        os.close(source)
        raise FileNotFoundError(ENOENT, "not a regular file", str(path))
    os.lseek(source, start, os.SEEK_SET)
    return source


async def _gathered(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Join small chunks, so that a slow sender costs one thread call a MiB and not one a packet."""
    waiting = bytearray()
    async for chunk in chunks:
        waiting += chunk
        if len(waiting) >= _WRITE_SIZE:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Unavailable(f"the blob store cannot do this now: {error.strerror}") from error
