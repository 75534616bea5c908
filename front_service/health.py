"""Whether this replica should get traffic: it needs the database, and never the broker."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from shared.contract.errors import UketsukeError
from shared.runtime.clock import Clock

_PATIENCE: Final = 3.0  # seconds of failure before a replica says that it is not ready
_FRESH: Final = 0.5  # seconds for which one look at the database serves every prober


class Readiness:
    """Asks the database at most every half second, however many ask us."""

    def __init__(
        self,
        *,
        ping: Callable[[], Awaitable[object]],
        broker_is_up: Callable[[], bool],
        clock: Clock,
    ) -> None:
        self._ping, self._broker_is_up, self._clock = ping, broker_is_up, clock
        self._looking = asyncio.Lock()
        self._looked_at = float("-inf")
        self._failing_since: float | None = float("-inf")  # nobody has answered yet
        self.is_draining = False

    async def report(self) -> tuple[bool, dict[str, str]]:
        """Say whether this replica is ready, and how each thing that it uses is."""
        async with self._looking:
            if self._clock.monotonic() - self._looked_at >= _FRESH:
                await self._look()
        since = self._failing_since
        database = since is None or self._looked_at - since < _PATIENCE
        is_ready = database and not self.is_draining
        return is_ready, {
            "status": "draining" if self.is_draining else "ready" if is_ready else "unready",
            "database": "up" if database else "down",
            "broker": "up" if self._broker_is_up() else "degraded",
        }

    async def _look(self) -> None:
        began = self._clock.monotonic()
        try:
            await self._ping()
        except UketsukeError:
            self._failing_since = began if self._failing_since is None else self._failing_since
        else:
            self._failing_since = None
        self._looked_at = self._clock.monotonic()
