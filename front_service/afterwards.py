"""Do the last of something when a service has stopped using it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

log: Final = structlog.get_logger()

_PATIENCE: Final = 5.0  # seconds


class Afterwards:
    """Waits to be stopped, then does one thing: after the services started later have ended."""

    def __init__(self, name: str, do: Callable[[], Awaitable[None]]) -> None:
        self.name, self._do = name, do

    async def run(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            try:
                async with asyncio.timeout(_PATIENCE):
                    await self._do()
            except TimeoutError:
                log.warning("not all was done before the end", name=self.name)
