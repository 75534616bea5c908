"""What time does to jobs: due, lapsed, overdue, outlived. Any number of replicas may ask at once.

Each verb works off a bounded number of rows and says how many it took; rows another replica
holds are left to it.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import asyncpg

from shared.contract.batches import COMPLETED
from shared.contract.events import News
from shared.contract.ids import BatchId, BlobId, JobId, TrackId
from shared.contract.states import State
from shared.store.batch_rows import START, closed, left_by
from shared.store.forgetting import forget_jobs
from shared.store.pool import Busy, Connection, Pool
from shared.store.rows import OutboxRow, outbox_row
from shared.store.sql import statement
from shared.store.work import DEAD_LETTER_TTL, MAX_CRASHES, suspect_from

AT_ONCE: Final = 500

Move = Callable[["Connection[Any]", Sequence[JobId]], Awaitable[list[asyncpg.Record]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """One job that upkeep moved."""

    id: JobId
    state: State
    track_id: TrackId | None


@dataclass(slots=True, kw_only=True)
class Tended:
    """What one round of upkeep did: jobs moved, knocks to publish, news to tell."""

    moved: list[Moved] = field(default_factory=list)
    rows: list[OutboxRow] = field(default_factory=list)
    news: list[News] = field(default_factory=list)
    batches: set[BatchId] = field(default_factory=set)  # that jobs of theirs have ended


class UpkeepStore:
    def __init__(
        self, pool: Pool, *, confirm_wait: timedelta, max_crashes: int = MAX_CRASHES
    ) -> None:
        self._pool, self._max_crashes = pool, max_crashes
        self._head_start = confirm_wait + timedelta(seconds=0.5)  # before the relay steps in

    async def come_due(self) -> Tended:
        """Make due jobs queued, and knock for those whose turn it is."""
        return await self._tend(statement("due"), _come_due)

    async def rescue(self) -> Tended:
        """Take jobs from workers whose lease ran out; after too many crashes they fail for good."""
        return await self._tend(statement("lapsed"), self._rescue)

    async def expire(self) -> Tended:
        """End jobs whose deadline has passed."""
        return await self._tend(statement("overdue"), _expire)

    async def unheard(
        self, pool: str, priority: str, *, is_empty: bool, older: timedelta
    ) -> list[OutboxRow]:
        """Knock again for jobs whose knock must have been lost."""
        suspect = suspect_from(self._max_crashes)
        lost = await self._pool.fetch(
            statement("unheard"), pool, priority, is_empty, older, suspect
        )
        if not lost:
            return []
        async with self._pool.transaction() as connection:
            return await self._knock(connection, [row["id"] for row in lost])

    async def forget(self) -> int:
        """Clean up what has been kept long enough; answer how many jobs went."""
        outlived = await self._pool.fetch(statement("outlived"), AT_ONCE)
        async with self._pool.transaction() as connection:
            gone = await forget_jobs(connection, [row["id"] for row in outlived])
        await self._pool.fetch(statement("forget_batches"), AT_ONCE)
        await self._pool.fetch(statement("forget_tombstones"), AT_ONCE)
        return gone

    async def close_batches(self, after: BatchId) -> tuple[list[News], BatchId]:
        """End some batches whose last ending nobody has looked at; answer where to go on.

        Whoever ended the last job of one does it himself, unless he died between the two.
        """
        rows = await self._pool.fetch(statement("open_batches"), after, AT_ONCE)
        ended = await closed(self._pool, {row["id"] for row in rows})
        return [one for one in ended if one.sequence == COMPLETED], (
            rows[-1]["id"] if len(rows) == AT_ONCE else START
        )

    async def forget_blobs(self, *, older: timedelta) -> list[BlobId]:
        """Drop the rows of blobs nobody uses; the caller deletes the files."""
        orphans = await self._pool.fetch(statement("orphan_blobs"), older, AT_ONCE)
        if not orphans:
            return []
        async with self._pool.transaction() as connection:  # holds first, and only then looks
            held = await connection.fetch(statement("hold_blobs"), [row["id"] for row in orphans])
            gone = await connection.fetch(statement("forget_blobs"), [row["id"] for row in held])
        return [row["id"] for row in gone]

    async def which(self) -> str:
        """Name the database: a copy that was made by a dump has another name, and keeps it."""
        return str(await self._pool.fetchval(statement("which_database")))

    async def unknown_blobs(self, blob_ids: Sequence[BlobId]) -> list[BlobId]:
        """Say which of some stored files have no row."""
        if not blob_ids:
            return []
        rows = await self._pool.fetch(statement("unknown_blobs"), list(blob_ids))
        return [row["id"] for row in rows]

    async def _tend(self, find: str, move: Move) -> Tended:
        found = [row["id"] for row in await self._pool.fetch(find, AT_ONCE)]
        if not found:
            return Tended()
        try:
            async with self._pool.transaction() as connection:
                tended = await self._move(connection, found, move)
        except Busy:  # somebody else is at it: the next round looks again
            return Tended()
        tended.news += await closed(self._pool, tended.batches)
        return tended

    async def _move(
        self, connection: "Connection[Any]", ids: Sequence[JobId], move: Move
    ) -> Tended:
        await connection.execute(statement("lock"), ids)
        rows = await move(connection, ids)
        moved = [_moved(row) for row in rows]
        heads = await connection.fetch(statement("advance"), [m.id for m in moved])
        ready = [m.id for m in moved if m.state is State.QUEUED]
        ready += [row["head"] for row in heads if row["head"] is not None]
        return Tended(
            moved=moved,
            rows=await self._knock(connection, ready),
            news=[News(row["id"], row["sequence"]) for row in rows],
            batches=left_by(rows),
        )

    async def _rescue(
        self, connection: "Connection[Any]", ids: Sequence[JobId]
    ) -> list[asyncpg.Record]:
        return await connection.fetch(statement("rescue"), ids, self._max_crashes, DEAD_LETTER_TTL)

    async def _knock(
        self, connection: "Connection[Any]", job_ids: Sequence[JobId]
    ) -> list[OutboxRow]:
        if not job_ids:
            return []
        rows = await connection.fetch(statement("knock"), list(job_ids), self._head_start)
        return [outbox_row(row) for row in rows]


async def _come_due(connection: "Connection[Any]", ids: Sequence[JobId]) -> list[asyncpg.Record]:
    return await connection.fetch(statement("come_due"), ids)


async def _expire(connection: "Connection[Any]", ids: Sequence[JobId]) -> list[asyncpg.Record]:
    return await connection.fetch(statement("expire"), ids, DEAD_LETTER_TTL)


def _moved(row: asyncpg.Record) -> Moved:
    return Moved(id=row["id"], state=State(row["state"]), track_id=row["track_id"])
