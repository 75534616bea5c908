"""How late the event loop is: what it was asked to do at a moment, it does that much later."""

import asyncio
from typing import Final

from shared.runtime.metrics import Metrics

_EVERY: Final = 0.25  # seconds


class Pulse:
    """A service: asks to be woken again and again, and counts how late that was."""

    name = "pulse"

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def run(self) -> None:
        now = asyncio.get_running_loop().time
        while True:
            due = now() + _EVERY
            await asyncio.sleep(_EVERY)
            self._metrics.lagged(max(0.0, now() - due))
