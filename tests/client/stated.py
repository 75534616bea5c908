"""A clock that a test owns: sleeping takes no time, and is written down."""

import asyncio
from datetime import timedelta


class StatedClock:
    def __init__(self) -> None:
        self.pauses: list[float] = []
        self._now = 0.0

    def monotonic(self) -> float:
        return self._now

    async def sleep(self, delay: timedelta) -> None:
        self.pauses.append(round(delay.total_seconds(), 3))
        self._now += delay.total_seconds()
        await asyncio.sleep(0)  # others get their turn, as in a real sleep

    @property
    def slept(self) -> float:
        return sum(self.pauses)
