"""Close connections that do not say what they want.

aiohttp has no time limit for the head of a request: without this, half a request line holds a
connection for ever.
"""

import asyncio
from typing import Final, Protocol

from shared.runtime.clock import Clock

_PATIENCE: Final = 5.0  # seconds from the connect, or the first byte of a later head, to its end
_PAUSE: Final = 0.25


class Closes(Protocol):
    def force_close(self) -> None:
        """Drop the line at once."""


class Heads:
    """Knows which connections have not sent a whole head yet, the oldest first."""

    name = "heads"

    def __init__(self, clock: Clock, *, patience: float = _PATIENCE) -> None:
        self._clock, self._patience = clock, patience
        self._silent: dict[Closes, float] = {}

    def begun(self, connection: Closes) -> None:
        """Time the head that *connection* has to send from now on; one that is timed stays so."""
        if connection not in self._silent:
            self._silent[connection] = self._clock.monotonic()

    def done(self, connection: Closes) -> None:
        """Its head is here, or it went away."""
        self._silent.pop(connection, None)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(_PAUSE)
            self.sweep()

    def sweep(self) -> None:
        """Close what is late."""
        latest = self._clock.monotonic() - self._patience
        late = [connection for connection, since in self._silent.items() if since <= latest]
        for connection in late:
            self.done(connection)
            connection.force_close()
