"""What goes into a blob store and comes out of it, whatever keeps the blobs."""

from collections.abc import AsyncIterator

from shared.blobs.store import BlobStore
from shared.contract.ids import BlobId


async def chunks_of(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def content(store: BlobStore, blob_id: BlobId, *window: int) -> bytes:
    return b"".join([chunk async for chunk in store.open(blob_id, *window)])
