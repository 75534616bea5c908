"""Wait until something is true, and never for ever."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TypeVar

T = TypeVar("T")


class NotInTime(AssertionError):
    """What was waited for did not come about."""


async def until(
    look: Callable[[], Awaitable[T]], *, within: float, what: str, every: float = 0.05
) -> T:
    """Look again and again until the answer is true, and give it."""
    end = monotonic() + within
    while True:
        found = await look()
        if found:
            return found
        if monotonic() > end:
            raise NotInTime(f"{what}: not within {within:g} s")
        await asyncio.sleep(every)
