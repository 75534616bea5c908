"""What a store of blobs can do, wherever it keeps them.

A blob is written once and never changed. What ``put`` has answered survives a power cut.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from shared.blobs.files import Files
from shared.contract.errors import TooLarge
from shared.contract.ids import BlobId

_PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What is known of a blob once it is durable."""

    size_bytes: int
    sha256: str


class BlobStore(ABC):
    """Blobs by their ids. Several processes may share what is behind it."""

    def __init__(self, files: Files) -> None:
        self._files = files

    @abstractmethod
    async def put(
        self, blob_id: BlobId, chunks: AsyncIterator[bytes], *, most_bytes: int
    ) -> Stored:
        """Store *chunks* as *blob_id*; the blob is durable when this returns.

        Raises ``TooLarge`` above *most_bytes* and ``Unavailable`` when it cannot be taken;
        nothing is left behind then, nor when *chunks* raises or the caller is cancelled.
        """

    @abstractmethod
    def open(
        self, blob_id: BlobId, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Stream the bytes from *start* up to but without *end*.

        Raises ``UnknownBlob`` before the first chunk. A blob that is deleted meanwhile is still
        read to its end.
        """

    @abstractmethod
    async def delete(self, blob_id: BlobId) -> None:
        """Remove a blob; one that is not there is no error."""

    @abstractmethod
    async def owner(self, whoever: str) -> str:
        """Answer to whom the store belongs: to *whoever*, if it was nobody's."""

    @abstractmethod
    async def aged(self, place: str, *, older: timedelta) -> tuple[list[BlobId], str]:
        """List some blobs written longer ago than *older*, and the place to go on from.

        Begins at *place*, at first ``START``, which is also what follows the last of them.
        """

    async def put_file(self, blob_id: BlobId, path: Path, *, most_bytes: int) -> Stored:
        """Store the regular file at *path*, as ``put`` does. A link is not followed."""
        async with aclosing(self._files.read(path)) as chunks:
            return await self.put(blob_id, chunks, most_bytes=most_bytes)

    async def copy_to(self, blob_id: BlobId, path: Path, *, most_bytes: int) -> Stored:
        """Copy a blob to a new file at *path*: the copy may be changed, the blob may not."""
        digest, size = hashlib.sha256(), 0
        target = await self._files.make(path)
        try:
            async with aclosing(self.open(blob_id)) as pieces:
                async for piece in pieces:
                    size += len(piece)
                    if size > most_bytes:
                        raise TooLarge(f"a file may have {most_bytes} bytes here")
                    await self._files.run(target.write, piece)
                    digest.update(piece)
        finally:
            await self._files.run(target.close)
        return Stored(size_bytes=size, sha256=digest.hexdigest())


def key_of(blob_id: BlobId) -> str:
    """Tell where a blob lies: two levels by the last digits of its id, which are random."""
    digits = blob_id.hex
    return f"{digits[-2:]}/{digits[-4:-2]}/{blob_id}"


async def gathered(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Join small chunks, so that a slow sender costs one thread call a MiB and not one a packet."""
    waiting = bytearray()
    async for chunk in chunks:
        waiting += chunk
        if len(waiting) >= _PIECE:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)
