"""How long a client waits, and until when.

Pure but for the clock that it is handed: a test states the time and the dice.
"""

import asyncio
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

from uketsuke.errors import DeadlinePassed

_NOTHING: Final = timedelta()


class Clock(Protocol):
    """The time of one process; it never goes back."""

    def monotonic(self) -> float:
        """Tell the seconds since some fixed moment."""

    async def sleep(self, delay: timedelta) -> None:
        """Come back after *delay*."""


class SystemClock:
    """The clock of the machine."""

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, delay: timedelta) -> None:
        await asyncio.sleep(delay.total_seconds())


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The times a client keeps. What is random falls between half of a pause and all of it."""

    first: timedelta = timedelta(seconds=1)  # the pause after the first try
    factor: float = 1.5
    cap: timedelta = timedelta(seconds=30)
    believed: timedelta = timedelta(minutes=5)  # the longest Retry-After that is obeyed
    connect: timedelta = timedelta(seconds=10)
    silence: timedelta = timedelta(seconds=30)  # of a server in the middle of an answer
    answer: timedelta = timedelta(minutes=5)  # one answer, to its last byte
    upload: timedelta = timedelta(hours=1)  # one submit with files
    heartbeat: timedelta = timedelta(seconds=15)  # between two pings on a socket

    def pause(self, tries: int, roll: float, retry_after: int | None = None) -> timedelta:
        """Say how long to wait after *tries* tries; *roll* is uniform in [0, 1).

        A *retry_after* is a promise kept: never earlier, and up to a quarter later, so that
        those who were told the same do not all come back at once.
        """
        if retry_after is not None:
            wished = min(timedelta(seconds=max(0, retry_after)), self.believed)
            return max(wished * (1 + roll / 4), self.first / 2)
        steps = min(tries - 1, 50)  # past every sensible cap, far below any overflow
        return min(self.cap, self.first * self.factor**steps) * (0.5 + roll / 2)


class Deadline:
    """A moment by which the caller wants an answer; without a limit it never comes."""

    def __init__(self, clock: Clock, limit: timedelta | None) -> None:
        self._clock, self.limit = clock, limit
        self._end = None if limit is None else clock.monotonic() + limit.total_seconds()

    def left(self) -> timedelta | None:
        """Tell how long it still is; ``None`` for ever; raise ``DeadlinePassed`` afterwards."""
        if self._end is None:
            return None
        left = timedelta(seconds=self._end - self._clock.monotonic())
        if left <= _NOTHING:
            raise self._passed()
        return left

    def allows(self, pause: timedelta) -> bool:
        """Tell whether there would still be time after *pause*."""
        return self._end is None or self._clock.monotonic() + pause.total_seconds() < self._end

    async def pause(self, wanted: timedelta) -> None:
        """Wait for *wanted*, but never past the deadline: then raise ``DeadlinePassed``."""
        left = self.left()
        await self._clock.sleep(wanted if left is None else min(wanted, left))
        self.left()

    async def run_out(self) -> DeadlinePassed:
        """Wait for the rest of it, and answer the error to raise."""
        if self._end is not None:
            rest = timedelta(seconds=self._end - self._clock.monotonic())
            await self._clock.sleep(max(rest, _NOTHING))
        return self._passed()

    def seconds(self, at_most: timedelta | None = None) -> float | None:
        """Tell the bound of one step, as ``asyncio.timeout`` takes it."""
        bounds = [bound for bound in (self.left(), at_most) if bound is not None]
        return min(bounds).total_seconds() if bounds else None

    def _passed(self) -> DeadlinePassed:
        return DeadlinePassed(f"not within {self.limit}")
