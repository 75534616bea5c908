"""What is known of stored files. The bytes are the blob store's."""

from shared.contract.authoring import Blob
from shared.contract.errors import UnknownBlob
from shared.contract.ids import BlobId, JobId, TenantId
from shared.store.pool import Pool
from shared.store.sql import statement


class BlobRows:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def add(self, tenant: TenantId, blob: Blob, job_id: JobId | None = None) -> None:
        """Note a file that is durable already; with *job_id*, as one that this job needs."""
        await self._pool.fetch(
            statement("keep_blob"),
            *(blob.id, tenant, blob.name, blob.content_type, blob.size_bytes, blob.sha256, job_id),
        )

    async def get(self, tenant: TenantId, blob_id: BlobId) -> Blob:
        """Read one; raise ``UnknownBlob`` if this tenant has none of that id."""
        row = await self._pool.fetchrow(statement("blob"), tenant, blob_id)
        if row is None:
            raise UnknownBlob
        return Blob(**row)
