"""Write down how attempts ended: many in one commit, again and again until the store has it.

A verdict is never given up while the database is away, and one whose commit was not answered is
not taken for stale. One that the database refuses, or whose job somebody holds, is not allowed to
take its neighbours with it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import structlog

from back_service.telling import Teller
from shared.contract.errors import Unavailable
from shared.contract.ids import JobId
from shared.contract.outcomes import Failure, Verdict
from shared.contract.states import Move
from shared.runtime.batching import Batcher
from shared.runtime.clock import Clock
from shared.runtime.track import tracking
from shared.store.pool import Busy, Rejected
from shared.store.work import Finished, Ruling, Settled, WorkStore

log = structlog.get_logger()

_MOST: Final = 128
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 2.0

_REFUSED: Final = Verdict(
    move=Move.FAIL,
    failure=Failure(code="result_invalid", message="The result could not be stored"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What became of a verdict. *asked_at* is when the lease of the next job began to count."""

    finished: Finished
    asked_at: float


class Finisher:
    """Collects verdicts of all slots into common commits."""

    def __init__(self, work: WorkStore, teller: Teller, clock: Clock) -> None:
        self._work, self._teller, self._clock = work, teller, clock
        self._in_doubt: set[tuple[JobId, int]] = set()  # they may be written, nobody said so
        self._batcher: Batcher[Ruling, Record] = Batcher(
            self._write_together, most=_MOST, name="finish"
        )

    async def finish(self, ruling: Ruling) -> Record:
        """Return when the verdict is stored, or known to be fenced."""
        try:
            return await self._finish(ruling)
        finally:
            self._in_doubt.discard(_attempt(ruling))

    async def _finish(self, ruling: Ruling) -> Record:
        pause = _FIRST_PAUSE
        try:
            return await self._batcher.submit(ruling)
        except Busy:
            log.warning("verdict waits for whoever holds its job", job_id=str(ruling.job.id))
        while True:
            await asyncio.sleep(pause)
            try:
                [record] = await self._write([ruling])
            except Busy:
                pause = min(_LONGEST_PAUSE, pause * 2)
            else:
                return record

    async def _write_together(self, rulings: Sequence[Ruling]) -> Sequence[Record | BaseException]:
        """Write a batch; if one of it spoils it, each goes by itself, and none waits for it."""
        try:
            return await self._write(rulings)
        except (Busy, Rejected, ValueError):
            if len(rulings) == 1:
                raise
        alone = (self._write_alone(ruling) for ruling in rulings)
        return await asyncio.gather(*alone)

    async def _write_alone(self, ruling: Ruling) -> Record | BaseException:
        try:
            [record] = await self._write([ruling])
        except (Busy, Rejected, ValueError) as error:
            return error
        return record

    async def _write(self, rulings: Sequence[Ruling]) -> list[Record]:
        """Write until the database answers.

        Raises ``Busy`` if somebody holds one of the jobs, and whatever a batch is refused for.
        """
        pause = _FIRST_PAUSE
        while True:
            asked_at = self._clock.monotonic()
            try:
                settled = await self._settle(rulings)
            except Busy:
                raise
            except Unavailable:
                self._in_doubt.update(map(_attempt, rulings))
                log.warning("verdicts wait for the database", count=len(rulings))
                await asyncio.sleep(pause)
                pause = min(_LONGEST_PAUSE, pause * 2)
            else:
                self._teller.tell(settled.news, settled.rows)
                return [Record(finished=f, asked_at=asked_at) for f in settled.finished]

    async def _settle(self, rulings: Sequence[Ruling]) -> Settled:
        """Settle a batch; a lone verdict that the database cannot hold ends its job as failed."""
        again = not self._in_doubt.isdisjoint(map(_attempt, rulings))
        try:
            return await self._work.finish(rulings, again=again)
        except (Rejected, ValueError) as error:
            if len(rulings) > 1:
                raise
            refused = error
        [ruling] = rulings
        if ruling.verdict == _REFUSED:
            raise refused  # a second refusal is a bug
        with tracking(ruling.job.track_id):
            job_id = str(ruling.job.id)
            log.error("verdict refused by the database", job_id=job_id, exc_info=refused)
        return await self._settle([replace(ruling, verdict=_REFUSED)])


def _attempt(ruling: Ruling) -> tuple[JobId, int]:
    return ruling.job.id, ruling.job.token
