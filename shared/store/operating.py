"""What operators ask of many jobs at once: which fit, how many live, and who could run them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from shared.contract.ids import JobId, TenantId
from shared.contract.states import ENDINGS, State
from shared.store.pool import Pool, TooLong
from shared.store.reads import Filters
from shared.store.sql import statement

LONGEST_KEYS: Final = 20
"""Ordering keys of a tenant that are counted by name: those in which most jobs wait."""

LIVES: Final = timedelta(seconds=15)
"""For how long a worker that was seen is taken to be alive; it says so every 5 s."""

_LONGEST_PICK: Final = 1.0  # seconds
_LONGEST_COUNT: Final = 10.0
_ANY_PLAN: Final = "SET LOCAL enable_seqscan = on; SET LOCAL enable_bitmapscan = on"
_NARROWER: Final = (
    "Finding these jobs takes too long. Say more of them: their orderingKey, their batch, or a "
    "state that few are in."
)


@dataclass(frozen=True, slots=True)
class Picked:
    """One job that fits."""

    id: JobId
    type: str
    state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Live jobs that have something in common: type, pool and state, or else their key."""

    tenant: TenantId
    type: str | None
    pool: str | None
    state: State | None
    key: str | None
    jobs: int
    waiting: int
    oldest: datetime


@dataclass(frozen=True, slots=True)
class Worker:
    """What one living worker can run; of *types*, those *lacking* miss an extra."""

    pools: frozenset[str]
    types: frozenset[str]
    lacking: frozenset[str]


class Operating:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def now(self) -> datetime:
        """Tell the time by which the store judges."""
        moment: datetime = await self._pool.fetchval(statement("now"))
        return moment

    async def pick(
        self,
        tenant: TenantId,
        filters: Filters,
        *,
        as_of: datetime,
        limit: int,
        before: JobId | None = None,
    ) -> list[Picked]:
        """Name a page of the jobs that fit, newest first; of those that were so *as_of* then.

        Raises ``TooLong`` if they are too few and too far apart to be found in time.
        """
        states = filters.states
        try:
            async with self._pool.search(seconds=_LONGEST_PICK) as connection:
                rows = await connection.fetch(
                    statement("pick"),
                    tenant,
                    before,
                    None if states is None else [str(state) for state in states],
                    states is not None and ENDINGS.isdisjoint(states),
                    filters.type,
                    filters.ordering_key,
                    filters.tag,
                    filters.created_after,
                    filters.created_before,
                    filters.batch,
                    as_of,
                    limit,
                )
        except TooLong as error:
            raise TooLong(_NARROWER, retry_after=error.retry_after) from error
        return [Picked(row["id"], row["type"], State(row["state"])) for row in rows]

    async def named(self, tenant: TenantId, job_ids: Sequence[JobId]) -> list[Picked]:
        """Say which of *job_ids* are jobs of the tenant."""
        rows = await self._pool.fetch(statement("states"), tenant, list(job_ids))
        return [Picked(row["id"], row["type"], State(row["state"])) for row in rows]

    async def tallies(self) -> list[Tally]:
        """Count the live jobs of all tenants. One look at each of them: not for every request."""
        async with self._pool.search(seconds=_LONGEST_COUNT) as connection:
            await connection.execute(_ANY_PLAN)
            rows = await connection.fetch(statement("stats"), LONGEST_KEYS)
        return [
            Tally(**dict(row) | {"state": None if row["state"] is None else State(row["state"])})
            for row in rows
        ]

    async def workers(self) -> list[Worker]:
        """List the workers that live."""
        rows = await self._pool.fetch(statement("alive"), LIVES)
        return [
            Worker(frozenset(row["pools"]), frozenset(row["types"]), frozenset(row["lacking"]))
            for row in rows
        ]


class Register:
    """The list of living workers, as one of them sees it."""

    def __init__(self, pool: Pool, worker: UUID) -> None:
        self._pool, self._worker = pool, worker

    async def here(
        self, *, pools: Sequence[str], types: Sequence[str], lacking: Sequence[str]
    ) -> None:
        """Say that this worker lives, and what it can run."""
        await self._pool.fetch(
            statement("here"), self._worker, list(pools), list(types), list(lacking)
        )

    async def leave(self) -> None:
        """Say that it is about to end."""
        await self._pool.fetch(statement("leave"), self._worker)
