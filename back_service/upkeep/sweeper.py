"""End what has lasted too long, and clean up what has been kept long enough."""

from datetime import timedelta
from typing import Final

import structlog

from back_service.telling import Teller
from back_service.upkeep.round import Round, announce
from shared.blobs.store import BlobStore
from shared.store.upkeep import AT_ONCE, UpkeepStore

log = structlog.get_logger()

_UPLOAD_LASTS: Final = timedelta(days=1)  # unused for longer than any submit could still need it


def deadlines(store: UpkeepStore, teller: Teller) -> Round:
    async def expire() -> int:
        return announce(teller, await store.expire(), "job expired")

    return Round(name="deadlines", work=expire, every=1.0, full=AT_ONCE)


def sweeper(store: UpkeepStore, blobs: BlobStore) -> Round:
    async def sweep() -> int:
        gone = await store.forget()
        orphans = await store.forget_blobs(older=_UPLOAD_LASTS)
        for blob_id in orphans:  # the rows are gone already: a crash here leaves files, not lies
            await blobs.delete(blob_id)
        if gone or orphans:
            log.info("cleaned up", jobs=gone, blobs=len(orphans))
        return max(gone, len(orphans))

    return Round(name="sweeper", work=sweep, every=2.0, full=AT_ONCE)
