"""What is still to be published, as the relay and the publishers see it."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from shared.runtime.batching import Batcher
from shared.store.pool import Pool
from shared.store.rows import OutboxRow, outbox_row
from shared.store.sql import statement

_MOST: Final = 1_000
_LINGER: Final = 0.05  # seconds: a row that stays that much longer harms nobody


class Outbox:
    """Rows written with the truth, dropped when the broker has confirmed them."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._sent: Batcher[int, None] = Batcher(
            self._drop, most=_MOST, linger=_LINGER, name="outbox sent"
        )

    def sent(self, row_id: int) -> None:
        """Drop a row some time soon; if that fails the relay repeats a harmless knock."""
        self._sent.offer(row_id)

    async def take(self, *, hide: timedelta, most: int = 200) -> list[OutboxRow]:
        """Take rows that nobody confirmed in time; others do not see them for *hide*."""
        rows = await self._pool.fetch(statement("take"), hide, most)
        return [outbox_row(row) for row in rows]

    async def put_back(self, row_ids: Sequence[int]) -> None:
        """Let any relay have rows again at once that were taken and not confirmed."""
        await self._pool.fetch(statement("put_back"), list(row_ids))

    async def depth(self, most: int) -> int:
        """Count the rows, up to *most*."""
        return int(await self._pool.fetchval(statement("outbox_depth"), most))

    async def is_late(self, route: str) -> bool:
        """Say whether *route* has rows that should have been published a while ago."""
        return bool(await self._pool.fetchval(statement("outbox_late"), route))

    async def drain(self) -> None:
        """Wait until every confirmed row is dropped."""
        await self._sent.drain()

    async def _drop(self, row_ids: Sequence[int]) -> list[None]:
        await self._pool.fetch(statement("sent"), list(row_ids))
        return [None] * len(row_ids)
