"""Files that callers send: bytes to the blob store first, then a row that says so."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final, Protocol

from shared.blobs.store import Stored
from shared.contract.authoring import Blob
from shared.contract.errors import UnknownBlob
from shared.contract.ids import BlobId, TenantId, parse_uuid
from shared.runtime.clock import fresh_blob_id

_LONGEST_LABEL: Final = 200
_NAMELESS: Final = "file"
_TYPELESS: Final = "application/octet-stream"


class KeepsBytes(Protocol):
    async def put(
        self, blob_id: BlobId, chunks: AsyncIterator[bytes], *, most_bytes: int
    ) -> Stored:
        """As ``BlobStore.put``."""

    def open(
        self, blob_id: BlobId, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """As ``BlobStore.open``."""


class KnowsBlobs(Protocol):
    async def add(self, tenant: TenantId, blob: Blob) -> None:
        """As ``BlobRows.add``."""

    async def get(self, tenant: TenantId, blob_id: BlobId) -> Blob:
        """As ``BlobRows.get``."""


class Uploads:
    def __init__(self, store: KeepsBytes, rows: KnowsBlobs, *, most_bytes: int) -> None:
        self._store, self._rows, self._most_bytes = store, rows, most_bytes

    async def take(
        self, tenant: TenantId, chunks: AsyncIterator[bytes], *, name: str, content_type: str
    ) -> Blob:
        """Keep *chunks*; durable when this returns. *name* and *content_type* are only labels."""
        blob_id = fresh_blob_id()
        stored = await self._store.put(blob_id, chunks, most_bytes=self._most_bytes)
        blob = Blob(
            id=blob_id,
            name=_label(name.replace("\\", "/").rpartition("/")[2]) or _NAMELESS,
            content_type=_label(content_type) or _TYPELESS,
            size_bytes=stored.size_bytes,
            sha256=stored.sha256,
        )
        await self._rows.add(tenant, blob)
        return blob

    async def find(self, tenant: TenantId, text: str) -> Blob:
        """Find the blob that *text* names; raise ``UnknownBlob``."""
        blob_id = parse_uuid(text)
        if blob_id is None:
            raise UnknownBlob
        return await self._rows.get(tenant, BlobId(blob_id))

    def read(self, blob: Blob, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """Stream *blob* from byte *start* up to but without *end*."""
        return self._store.open(blob.id, start, end)


def _label(text: str) -> str:
    """Keep of a stranger's text what can be shown and stored."""
    shown = "".join(c for c in text if c.isprintable() and not "\ud800" <= c <= "\udfff")
    return shown.strip()[:_LONGEST_LABEL]
