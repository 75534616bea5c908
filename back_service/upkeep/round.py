"""One kind of upkeep, done again and again: the loop that all of it shares."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import structlog

from back_service.telling import Teller
from shared.contract.errors import Unavailable
from shared.contract.states import State
from shared.store.pool import Rejected
from shared.store.upkeep import Tended

log = structlog.get_logger()

_MOST_WAIT = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """A service: calls *work* every so often, at once again while there is more to do."""

    name: str
    work: Callable[[], Awaitable[int]]  # answers how much it did
    every: float  # seconds
    full: int  # that much at once means that there is more

    async def run(self) -> None:
        pause = self.every
        while True:
            await asyncio.sleep(pause)
            try:
                done = await self.work()
            except (Unavailable, Rejected) as error:
                log.warning("upkeep put off", upkeep=self.name, why=str(error))
                pause = min(_MOST_WAIT, max(pause, self.every) * 2)
            else:
                pause = 0 if done >= self.full else self.every


def announce(
    teller: Teller, tended: Tended, event: str, count: Callable[[Mapping[State, int]], object]
) -> int:
    """Tell what a round moved, a log line each; answer how many jobs that were."""
    teller.tell(tended.news, tended.rows)
    count(Counter(job.state for job in tended.moved))
    for job in tended.moved:
        log.info(event, job_id=str(job.id), state=job.state, track_id=job.track_id)
    return len(tended.moved)
