"""Batches: read how far one is, and end one when its last job has ended.

No row is counted up: how far a batch is, is read off its jobs. Whoever has ended a job asks after
the commit whether that was the last; of several the one whose commit was last sees all the others.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg

from shared.contract.batches import ACCEPTED, COMPLETED, BatchView
from shared.contract.errors import Gone, Unavailable, UnknownBatch
from shared.contract.events import News
from shared.contract.ids import BatchId, JobId, TenantId, TrackId
from shared.contract.states import ENDINGS, State, Status
from shared.store.pool import Pool, Rejected
from shared.store.sql import statement

START: Final = BatchId(UUID(int=0))
"""Before the first of all batches."""

_KEPT: Final = timedelta(days=7)


class BatchRows:
    """What readers are told of batches: one tenant's, never another's."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def batch(self, tenant: TenantId, batch_id: BatchId) -> BatchView:
        """Read how a batch stands; raise ``UnknownBatch``, or ``Gone`` if it was cleaned up."""
        row = await self._pool.fetchrow(statement("batch"), tenant, batch_id)
        if row is not None:
            return _view(row)
        if await self._pool.fetchval(statement("tombstone"), tenant, batch_id):
            raise Gone("The batch has been cleaned up")
        raise UnknownBatch

    async def states(self, tenant: TenantId, job_ids: Iterable[JobId]) -> dict[JobId, State]:
        """Say how several jobs stand; those that are gone are left out."""
        rows = await self._pool.fetch(statement("states"), tenant, list(job_ids))
        return {row["id"]: State(row["state"]) for row in rows}


def left_by(moved: Iterable[Mapping[str, Any] | asyncpg.Record]) -> set[BatchId]:
    """Name the batches of those of *moved* that have an ending now."""
    return {
        row["batch"] for row in moved if row["batch"] is not None and State(row["state"]) in ENDINGS
    }


async def closed(pool: Pool, batch_ids: Iterable[BatchId]) -> list[News]:
    """End those of *batch_ids* that have no live job, and tell news of all of them.

    To be asked after the commit of an ending. Trouble is none of the caller's: upkeep asks again.
    """
    asked = list(batch_ids)
    if not asked:
        return []
    over: set[BatchId] = set()
    with suppress(Unavailable, Rejected):
        over = {row["id"] for row in await pool.fetch(statement("close_batches"), asked, _KEPT)}
    return [News(JobId(one), COMPLETED if one in over else ACCEPTED) for one in asked]


def _view(row: asyncpg.Record) -> BatchView:
    return BatchView(
        id=BatchId(row["id"]),
        tenant=TenantId(row["tenant"]),
        track_id=TrackId(row["track_id"]),
        refused=row["refused"],
        created_at=row["created_at"],
        completed_at=row["completed_at"],
        progress=row["progress"],
        counts={status: row[status.value] for status in Status},
    )
