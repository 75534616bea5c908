"""Hear that something was stored, read it, and hand it to the hub.

News may be lost, doubled or forged: so whatever is watched is read again after each reconnect,
and when nobody has looked at it for a while. Many jobs with news cost one question.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final, Protocol

import structlog

from front_service.push.hub import Hub
from front_service.push.story import Look
from shared.contract.errors import Unavailable
from shared.contract.events import JobEvent, decode_news
from shared.contract.ids import JobId, TenantId
from shared.contract.jobs import JobView
from shared.runtime.clock import Clock
from shared.store.pool import Rejected

log: Final = structlog.get_logger()

_MOST: Final = 500  # jobs of one question
_SILENCE: Final = 15.0  # seconds
_TICK: Final = 1.0
_PAUSE: Final = 0.5  # seconds, after the store did not answer


class ReadsHistory(Protocol):
    async def history(
        self, wanted: Mapping[tuple[TenantId, JobId], int]
    ) -> dict[JobId, tuple[JobView, list[JobEvent]]]:
        """As ``Reads.history``."""


class Listener:
    name = "listener"

    def __init__(self, hub: Hub, reads: ReadsHistory, clock: Clock) -> None:
        self._hub, self._reads, self._clock = hub, reads, clock
        self._waiting: dict[JobId, None] = {}  # in the order of their news
        self._wake = asyncio.Event()

    def hear(self, body: bytes) -> None:
        """Take a message of the fan-out; what nobody watches, or was seen, is passed over."""
        if not self._hub.is_watching:  # most often nobody does: reading it would be all the cost
            return
        for news in decode_news(body):
            if self._hub.is_waited_for(news.job_id, news.sequence):
                self._want((news.job_id,))

    def reconnected(self) -> None:
        """Look at everything: whatever happened while nothing was heard."""
        self._want(self._hub.watched())

    async def run(self) -> None:
        while True:
            await self._wait()
            self._want(self._hub.silent_since(self._clock.monotonic() - _SILENCE))
            while self._waiting:
                await self._look()
            self._wake.clear()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(_TICK):
                await self._wake.wait()
        except TimeoutError:
            pass

    def _want(self, job_ids: Iterable[JobId]) -> None:
        self._waiting.update(dict.fromkeys(job_ids))
        if self._waiting:
            self._wake.set()

    async def _look(self) -> None:
        """Look at some of what waits, in one question."""
        asked = list(self._waiting)[:_MOST]
        for job_id in asked:
            del self._waiting[job_id]
        wanted = self._hub.places(asked, self._clock.monotonic())
        try:
            found = await self._reads.history(wanted) if wanted else {}
        except Unavailable:
            self._want(asked)
            await asyncio.sleep(_PAUSE)
            return
        except Rejected:  # not asked again at once: their silence will ask
            log.exception("watched jobs not read", jobs=len(asked))
            await asyncio.sleep(_PAUSE)
            return
        self._hand_out(found)

    def _hand_out(self, found: Mapping[JobId, tuple[JobView, list[JobEvent]]]) -> None:
        for job_id, (job, events) in found.items():
            self._hub.hand_out(Look(job, events))
            watched = self._hub.get(job.tenant, job_id)
            if watched is not None and watched.sequence < job.sequence:
                self._want((job_id,))  # it went on between the two halves of the question
