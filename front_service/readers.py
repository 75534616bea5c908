"""Cut readers off that take nothing of what they asked for.

An answer waits in our memory until its reader takes it, and aiohttp waits with it for ever.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from shared.runtime.clock import Clock

_PATIENCE: Final = 10.0  # seconds in which a reader must take at least so much
_LEAST: Final = 10_240  # bytes, or all that is left
_PAUSE: Final = 0.5


class Reads(Protocol):
    def unread(self) -> int:
        """How many bytes have been written that the reader has not taken yet."""

    def cut(self) -> None:
        """Drop the line and what waits for it."""


class Readers:
    """Knows all connections, and since when each has taken next to nothing."""

    name = "readers"

    def __init__(
        self,
        clock: Clock,
        *,
        patience: float = _PATIENCE,
        tell: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._clock, self._patience, self._tell = clock, patience, tell
        self._connections: set[Reads] = set()
        self._slow: dict[Reads, tuple[float, int]] = {}

    def connected(self, connection: Reads) -> None:
        self._connections.add(connection)

    def gone(self, connection: Reads) -> None:
        self._connections.discard(connection)
        self._slow.pop(connection, None)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(_PAUSE)
            self.sweep()

    def sweep(self) -> None:
        """Cut those off that have taken too little for too long."""
        now = self._clock.monotonic()
        for connection in tuple(self._connections):
            if unread := connection.unread():
                self._judge(connection, unread, now)
            else:
                self._slow.pop(connection, None)

    def _judge(self, connection: Reads, unread: int, now: float) -> None:
        since, most = self._slow.setdefault(connection, (now, unread))
        if most - unread >= _LEAST:
            self._slow[connection] = now, unread
        elif now - since >= self._patience:
            self.gone(connection)
            connection.cut()
            self._tell("answer")
        elif unread > most:
            self._slow[connection] = since, unread
