"""What waits, tenant by tenant: for workers that have to choose between tenants."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from shared.contract.ids import JobId, TenantId
from shared.store.pool import Pool
from shared.store.sql import statement
from shared.store.work import MAX_CRASHES, suspect_from

Place = tuple[TenantId, str, str]
"""A line: the jobs of a tenant, in a pool, with a priority."""

_NEWEST: Final = 300  # jobs

FROM_THE_START: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The head of one line; *oldest* is when its first job was knocked for, by the database."""

    jobs: Sequence[tuple[JobId, bool]]  # each with whether it has an ordering key
    oldest: datetime | None
    now: datetime


class LineRows:
    """The lines as a worker sees them that knows these *types*."""

    def __init__(
        self, pool: Pool, *, types: Collection[str], max_crashes: int = MAX_CRASHES
    ) -> None:
        self._pool, self._types = pool, sorted(types)
        self._suspect = suspect_from(max_crashes)

    async def newest(self) -> set[TenantId]:
        """Say whose the jobs are that were accepted last, run or not."""
        rows = await self._pool.fetch(statement("newest_tenants"), _NEWEST)
        return {TenantId(row["tenant"]) for row in rows}

    async def heads(self, since: Mapping[Place, datetime], *, most: int) -> dict[Place, Line]:
        """Read up to *most* of the oldest jobs of each line, from its moment on."""
        tenants, pools, priorities = zip(*since, strict=True)
        rows = await self._pool.fetch(
            statement("lines"),
            *(list(tenants), list(pools), list(priorities), list(since.values())),
            *(self._types, self._suspect, most),
        )
        jobs: dict[Place, list[tuple[JobId, bool]]] = {place: [] for place in since}
        oldest: dict[Place, datetime] = {}
        for row in rows:
            place = (TenantId(row["tenant"]), row["pool"], row["priority"])
            if row["id"] is not None:
                jobs[place].append((JobId(row["id"]), row["keyed"]))
                oldest.setdefault(place, row["knocked_at"])
        now = rows[0]["now"]
        return {
            place: Line(jobs=found, oldest=oldest.get(place), now=now)
            for place, found in jobs.items()
        }
