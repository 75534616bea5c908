"""How far running jobs are: conflated here, stored in batches, then told.

The newest report of a job wins, at a bounded rate. Progress is no event: it is lost with the
attempt, and nobody replays it.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from back_service.telling import Teller
from shared.contract.errors import Unavailable
from shared.contract.ids import JobId
from shared.contract.jobs import Job
from shared.store.pool import Rejected
from shared.store.work import WorkStore

log = structlog.get_logger()

_EVERY: Final = 0.2  # seconds
_LONGEST: Final = 500  # characters of a message


class ProgressBoard:
    """The newest progress of every job that runs here. A service: it writes what changed."""

    name = "progress"

    def __init__(self, work: WorkStore, teller: Teller) -> None:
        self._work, self._teller = work, teller
        self._changed: dict[JobId, tuple[JobId, int, int, str]] = {}
        self._stir = asyncio.Event()

    def report(self, job: Job, percent: float, message: str) -> None:
        """Take a report without waiting; the attempt itself sees to it that none goes back."""
        self._changed[job.id] = (job.id, job.token, int(percent), clip(message))
        self._stir.set()

    async def tell_last(self, job: Job) -> None:
        """Write what *job* has reported and nobody was told yet: its attempt has failed."""
        if (report := self._changed.pop(job.id, None)) is not None:
            await self._store([report])

    def forget(self, job: Job) -> None:
        """Drop what was not told yet: the attempt has ended."""
        self._changed.pop(job.id, None)

    async def run(self) -> None:
        while True:
            await self._stir.wait()
            self._stir.clear()
            await self._write()
            await asyncio.sleep(_EVERY)

    async def _write(self) -> None:
        told, self._changed = list(self._changed.values()), {}
        if told:
            await self._store(told)

    async def _store(self, told: Sequence[tuple[JobId, int, int, str]]) -> None:
        try:
            self._teller.tell(await self._work.progress(told))
        except (Unavailable, Rejected):
            log.warning("progress not stored", jobs=len(told))


def clip(message: str) -> str:
    """Make a message fit to store: printable, and not endless."""
    text = "".join(c if c.isprintable() else " " for c in message[:_LONGEST])
    return text.encode(errors="replace").decode() + ("…" if len(message) > _LONGEST else "")
