"""What waits where, for whom and how late: the figures of the whole house, as operators see it.

No tenant, key or id is in them: only pools, types and counts.
"""

from dataclasses import dataclass
from typing import Final

from shared.store.operating import Operating, Worker
from shared.store.pool import Pool
from shared.store.sql import statement
from shared.store.work import MAX_CRASHES, suspect_from

_LONGEST_COUNT: Final = 10.0  # seconds
_ANY_PLAN: Final = "SET LOCAL enable_seqscan = on; SET LOCAL enable_bitmapscan = on"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Live jobs of one pool and type that wait for the same.

    *waits* is the state, and of queued jobs what they wait for: ``ready`` (a free worker),
    ``behind`` (the head of their key) or ``suspect`` (a process of their own). *late* says for how
    many seconds the oldest could have gone on: since its knock, its time or the end of its lease;
    of those behind a head, since it was accepted.
    """

    pool: str
    type: str
    waits: str
    jobs: int
    late: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    groups: list[Group]
    workers: list[Worker]
    longest_line: int  # jobs of one ordering key
    keys_held: int  # by a failure that blocks
    outbox_rows: int
    outbox_late: float  # seconds since the oldest was written


class Counts:
    """Asks for the census. One look at each live job: not for every request."""

    def __init__(self, pool: Pool, *, max_crashes: int = MAX_CRASHES) -> None:
        self._pool, self._max_crashes = pool, max_crashes
        self._operating = Operating(pool)

    async def census(self) -> Census:
        """Count; raises ``Unavailable`` if that takes longer than ten seconds."""
        suspect = suspect_from(self._max_crashes)
        async with self._pool.search(seconds=_LONGEST_COUNT) as connection:
            await connection.execute(_ANY_PLAN)
            rows = await connection.fetch(statement("census"), suspect)
            [standing] = await connection.fetch(statement("standing"))
        return Census(
            groups=[Group(**dict(row)) for row in rows],
            workers=await self._operating.workers(),
            longest_line=standing["longest"],
            keys_held=standing["held"],
            outbox_rows=standing["rows"],
            outbox_late=standing["late"],
        )
