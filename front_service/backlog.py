"""Know when too many knocks wait for the broker, so that submits are refused before the disk is.

The bound is far away: it is reached when the broker has been down for long under load.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from shared.contract.errors import Unavailable
from shared.store.pool import Rejected

log: Final = structlog.get_logger()

_TICK: Final = 2.0  # seconds
_COME_BACK: Final = 10  # seconds


class Backlog:
    """Counts the outbox now and then, up to *most* rows."""

    name = "backlog"

    def __init__(self, depth: Callable[[int], Awaitable[int]], *, most: int) -> None:
        self._depth, self._most = depth, most
        self._is_full = False

    def check(self) -> None:
        """Raise ``Unavailable`` while the outbox is full."""
        if self._is_full:
            raise Unavailable("Too many jobs wait for the broker.", retry_after=_COME_BACK)

    async def run(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(_TICK)

    async def look(self) -> None:
        try:
            is_full = await self._depth(self._most) >= self._most
        except Unavailable:
            return  # submits get the same answer from the store itself
        except Rejected:  # no reason to stop all that does not need to know
            log.exception("outbox not counted")
            return
        if is_full is not self._is_full:
            log.warning("outbox full" if is_full else "outbox has room again", most=self._most)
        self._is_full = is_full
