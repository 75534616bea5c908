"""What readers are told of jobs: one tenant's, never another's."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.contract.errors import Gone, Unavailable, UnknownJob
from shared.contract.events import JobEvent
from shared.contract.ids import BatchId, JobId, TenantId
from shared.contract.jobs import JobView, Priority
from shared.contract.states import ENDINGS, State
from shared.contract.status import MOST_INLINE
from shared.store.pool import Pool, TooLong
from shared.store.rows import InLine, in_line, job_event, job_view
from shared.store.sql import statement

_LANES: Final = [str(priority) for priority in Priority]
_UNBOUNDED: Final = 2**31 - 1
_LONGEST_LIST: Final = 1.0  # seconds
_MOST_LISTS: Final = 2  # at a time
_NARROWER: Final = (
    "Finding these jobs takes too long. Say more of them: their orderingKey, or a state that "
    "few are in."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which jobs a list shows; ``None`` means any."""

    states: Sequence[State] | None = None
    type: str | None = None
    ordering_key: str | None = None
    tag: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    batch: BatchId | None = None


class Reads:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._lists = asyncio.Semaphore(_MOST_LISTS)

    async def job(self, tenant: TenantId, job_id: JobId, *, whole: bool = False) -> JobView:
        """Read one job; *whole* brings its result however large it is.

        Raises ``Gone`` for one that was cleaned up, ``UnknownJob`` for one that never was.
        """
        most = _UNBOUNDED if whole else MOST_INLINE
        row = await self._pool.fetchrow(statement("job"), tenant, job_id, most)
        if row is not None:
            return job_view(row)
        if await self._pool.fetchval(statement("tombstone"), tenant, job_id):
            raise Gone
        raise UnknownJob

    async def history(
        self, wanted: Mapping[tuple[TenantId, JobId], int]
    ) -> dict[JobId, tuple[JobView, list[JobEvent]]]:
        """Read many jobs with their events after a number each; unknown ones are left out.

        The jobs are read after the events, so that a job is never older than its last event.
        """
        ids = [job_id for _, job_id in wanted]
        tenants = [tenant for tenant, _ in wanted]
        async with self._pool.connection() as connection:
            events = await connection.fetch(
                statement("history"), tenants, ids, list(wanted.values())
            )
            rows = await connection.fetch(statement("job_batch"), tenants, ids, MOST_INLINE)
        views = {row["id"]: (job_view(row), list[JobEvent]()) for row in rows}
        for event in events:
            if event["job_id"] in views:
                views[event["job_id"]][1].append(job_event(event))
        return views

    async def jobs(
        self, tenant: TenantId, filters: Filters, *, limit: int, before: JobId | None = None
    ) -> list[JobView]:
        """Read a page of jobs, newest first; *before* is the last id of the page before.

        Raises ``TooLong`` if the jobs that fit are too few and too far apart to be found in time.
        """
        states = filters.states
        asked = (
            tenant,
            before,
            None if states is None else [str(state) for state in states],
            states is not None and ENDINGS.isdisjoint(states),
            filters.type,
            filters.ordering_key,
            filters.tag,
            filters.created_after,
            filters.created_before,
            limit,
            MOST_INLINE,
            filters.batch,
        )
        async with self._turn():
            try:
                async with self._pool.search(seconds=_LONGEST_LIST) as connection:
                    rows = await connection.fetch(statement("list"), *asked)
            except TooLong as error:
                raise TooLong(_NARROWER, retry_after=error.retry_after) from error
        return [job_view(row) for row in rows]

    async def line(self, pool: str, most: int) -> list[InLine]:
        """Read what waits for workers of *pool*: the first *most* jobs of each priority, in order.

        They are the jobs of all tenants: what is told of them is for the caller to judge.
        """
        rows = await self._pool.fetch(statement("line"), pool, _LANES, most)
        return [in_line(row) for row in rows]

    async def before(self, tenant: TenantId, job_id: JobId, most: int) -> list[tuple[str, State]]:
        """Read type and state of what a job of an ordering key waits for, in order.

        Raises ``Unavailable`` if it stands farther than *most* from the head of its key.
        """
        rows = await self._pool.fetch(statement("before"), tenant, job_id, most)
        if len(rows) == most:
            raise Unavailable("Too many jobs stand before this one")
        found = [(row["type"], State(row["state"])) for row in rows]
        return [(name, state) for name, state in found if state not in ENDINGS]

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Let few lists be looked for at a time: whoever asks for one job must not wait for them.

        Raises ``Unavailable`` if those before take too long.
        """
        try:
            async with asyncio.timeout(_LONGEST_LIST):
                await self._lists.acquire()
        except TimeoutError:
            raise Unavailable("Too many lists are asked for at once", retry_after=1) from None
        try:
            yield
        finally:
            self._lists.release()
