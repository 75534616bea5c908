"""End what has lasted too long, and clean up what has been kept long enough."""

from datetime import timedelta
from functools import partial
from typing import Final

import structlog

from back_service.telling import Teller
from back_service.upkeep.ownership import Ownership
from back_service.upkeep.round import Round, announce
from shared.blobs.store import BlobStore
from shared.blobs.walk import START
from shared.contract.errors import Unavailable
from shared.contract.ids import BlobId
from shared.runtime.metrics import BackMetrics
from shared.store.batch_rows import START as BATCHES
from shared.store.upkeep import AT_ONCE, UpkeepStore

log = structlog.get_logger()

_UPLOAD_LASTS: Final = timedelta(days=1)  # unused for longer than any submit could still need it


def deadlines(store: UpkeepStore, teller: Teller, metrics: BackMetrics) -> Round:
    count = partial(metrics.tended, "deadline")

    async def expire() -> int:
        return announce(teller, await store.expire(), "job expired", count)

    return Round(name="deadlines", work=expire, every=1.0, full=AT_ONCE)


class Batches:
    """Batches whose last job ended, and nobody lived to say so."""

    def __init__(self, store: UpkeepStore, teller: Teller) -> None:
        self._store, self._teller, self._place = store, teller, BATCHES

    async def close(self) -> int:
        """Look at the next of those that are not over."""
        news, self._place = await self._store.close_batches(self._place)
        self._teller.tell(news)
        return len(news)


def batches(store: UpkeepStore, teller: Teller) -> Round:
    return Round(name="batches", work=Batches(store, teller).close, every=2.0, full=AT_ONCE)


def sweeper(store: UpkeepStore, blobs: BlobStore, ownership: Ownership) -> Round:
    async def sweep() -> int:
        gone = await store.forget()
        is_ours = await ownership.is_ours()
        orphans = await store.forget_blobs(older=_UPLOAD_LASTS) if is_ours else []
        for blob_id in orphans:  # the rows are gone already: a crash here leaves files, not lies
            await _delete(blobs, blob_id)
        if gone or orphans:
            log.info("cleaned up", jobs=gone, blobs=len(orphans))
        return max(gone, len(orphans))

    return Round(name="sweeper", work=sweep, every=2.0, full=AT_ONCE)


class Strays:
    """Files without a row: of uploads that ended between the two, or of a delete that failed.

    Whoever stores a file cannot clean up after itself: if the database did not answer, the row may
    be there all the same. So files are looked at long afterwards, some at a time, and deleted if
    nobody knows them. In a folder that belongs to another database nothing is even looked at.
    """

    def __init__(
        self, store: UpkeepStore, blobs: BlobStore, ownership: Ownership, *, place: str = START
    ) -> None:
        self._store, self._blobs, self._ownership = store, blobs, ownership
        self._place = place

    async def sweep(self) -> int:
        """Look at the next files; answer how many were deleted."""
        if not await self._ownership.is_ours():
            return 0
        aged, place = await self._blobs.aged(self._place, older=_UPLOAD_LASTS)
        unknown = await self._store.unknown_blobs(aged)
        for blob_id in unknown:
            await _delete(self._blobs, blob_id)
        self._place = place
        if unknown:
            log.info("stray files deleted", blobs=len(unknown))
        return len(unknown)


def strays(store: UpkeepStore, blobs: BlobStore, ownership: Ownership, *, place: str) -> Round:
    """Go round all files within some hours, beginning at *place*."""
    work = Strays(store, blobs, ownership, place=place).sweep
    return Round(name="strays", work=work, every=10.0, full=AT_ONCE)


async def _delete(blobs: BlobStore, blob_id: BlobId) -> None:
    """Delete a file, or leave it to a later turn: the others must not wait for it."""
    try:
        await blobs.delete(blob_id)
    except Unavailable as error:
        log.warning("file not deleted", blob_id=str(blob_id), why=str(error))
