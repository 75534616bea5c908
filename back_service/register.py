"""Say that this worker lives and what it can run, so that the front can tell callers."""

import asyncio
from collections.abc import Collection, Container
from contextlib import suppress
from typing import Final

import structlog

from shared.contract.errors import Unavailable
from shared.contract.job_types import Catalogue
from shared.store.operating import Register
from shared.store.pool import Rejected

log: Final = structlog.get_logger()

_EVERY: Final = 5.0  # seconds; three times missed, and it is taken for dead
_FAREWELL: Final = 2.0  # seconds: who is not heard by then is forgotten by himself


def warn_of_unhandled(catalogue: Catalogue, handled: Container[str], pools: Container[str]) -> None:
    """Log, in one line, the types of *pools* that this worker is asked to know and cannot run.

    Another worker of the pool may have their handlers; if none has, their jobs wait for ever.
    """
    lacking = sorted(
        name
        for name, job_type in catalogue.items()
        if job_type.pool in pools and name not in handled
    )
    if lacking:
        log.warning("job types without a handler", types=lacking, setting="UKETSUKE_HANDLERS")


class Presence:
    """Keeps this worker on the list of those that live, until it stops taking work."""

    name = "presence"

    def __init__(
        self,
        register: Register,
        *,
        pools: Collection[str],
        types: Collection[str],
        lacking: Collection[str],
    ) -> None:
        self._register = register
        self._says = {"pools": sorted(pools), "types": sorted(types), "lacking": sorted(lacking)}

    async def run(self) -> None:
        try:
            while True:
                await self._here()
                await asyncio.sleep(_EVERY)
        finally:
            with suppress(Unavailable, Rejected, TimeoutError):
                async with asyncio.timeout(_FAREWELL):
                    await self._register.leave()

    async def _here(self) -> None:
        try:
            await self._register.here(**self._says)
        except (Unavailable, Rejected) as error:
            log.warning("presence not told", why=str(error))
