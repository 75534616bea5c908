"""Where a drill takes place: fronts and backs that may be struck, and are replaced."""

import asyncio
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from tests.campaign.crowd import Crowd
from tests.support.house import House, Worker
from tests.support.logbook import lines
from tests.support.waiting import NotInTime, until

_SLOTS: Final = 12
_REFUSED: Final = frozenset(("job fenced", "late write refused"))
_AT_REST: Final = """
SELECT (SELECT count(*) FROM jobs WHERE completed_at IS NULL)
     + (SELECT count(*) FROM outbox) AS left
"""
_LEFT: Final = """
SELECT state, key IS NOT NULL AS keyed, count(*) AS jobs, sum(crashes) AS crashes,
       clock_timestamp() - min(updated_at) AS longest, (SELECT count(*) FROM outbox) AS outbox,
       count(*) FILTER (WHERE EXISTS (SELECT FROM key_heads h WHERE h.head = j.id)) AS heads
  FROM jobs j
 WHERE completed_at IS NULL
 GROUP BY 1, 2
"""


@dataclass(slots=True, kw_only=True)
class Scene:
    """A house at work, and what was done to it. *bites* counts what the fault really did."""

    house: House
    crowd: Crowd
    dice: random.Random
    lease: float
    fronts: list[Worker] = field(default_factory=list)
    backs: list[Worker] = field(default_factory=list)
    gone: list[Worker] = field(default_factory=list)
    bites: Counter[str] = field(default_factory=Counter)
    figures: dict[str, float] = field(default_factory=dict)

    def bite(self, what: str, times: int = 1) -> None:
        self.bites[what] += times

    async def add_front(self) -> Worker:
        front = await self.house.front()
        self.fronts.append(front)
        self.crowd.fronts.append(self.house.url(front))
        return front

    async def add_back(self, **settings: object) -> Worker:
        back = await self.house.back(concurrency=_SLOTS, lease=self.lease, **settings)
        self.backs.append(back)
        return back

    def take_back(self) -> Worker:
        """Choose a back that is to be harmed; it is no longer one of ours."""
        back = self.backs.pop(self.dice.randrange(len(self.backs)))
        self.gone.append(back)
        return back

    async def remove_front(self, front: Worker) -> int:
        """Let a front drain: nobody is sent to it any more, and who is there is sent away."""
        self.crowd.fronts.remove(self.house.url(front))
        self.fronts.remove(front)
        return await front.terminate()

    def stale_writes_refused(self) -> int:
        """Count the writes of old tokens that the store turned down, by the workers' own logs.

        That of a job whose cancel was asked for may have been late for that reason alone.
        """
        cancelled = {
            job_id for job_id, asked in self.crowd.history.accepted() if asked.is_cancelled
        }
        return sum(
            line["event"] in _REFUSED and line["job_id"] not in cancelled
            for worker in (*self.backs, *self.gone)
            for line in lines(worker)
        )

    async def come_to_rest(self, *, within: float) -> float:
        """Wait until every job has its ending and every knock is out; say how long it took."""
        begun = monotonic()

        async def is_at_rest() -> bool:
            return await self.house.fetchval(_AT_REST) == 0

        try:
            await until(is_at_rest, within=within, what="every job has an ending", every=0.2)
        except NotInTime as error:
            left = [dict(row) for row in await self.house.fetch(_LEFT)]
            error.add_note(f"left after {within:g} s: {left}")
            raise
        return monotonic() - begun

    async def runs_something(self, worker: Worker) -> None:
        """Wait until *worker* runs a job of some length: a fault that meets no work is none."""

        async def is_busy() -> bool:
            told = Counter(line["event"] for line in lines(worker))
            return told["job started"] > told["job attempt ended"] + told["job fenced"]

        await until(is_busy, within=30, what="the worker has work", every=0.02)


@asynccontextmanager
async def open_scene(
    house: House, crowd: Crowd, *, seed: object, lease: float, fronts: int = 2, backs: int = 3
) -> AsyncIterator[Scene]:
    """Start the services; leaving ends those that still run."""
    house.extra |= {
        "UKETSUKE_JOB_TYPES": "tests.campaign.drills",
        "UKETSUKE_HANDLERS": "tests.campaign.drills",
        "UKETSUKE_MAX_CRASHES": "100",  # it is we who end the workers, not the jobs
        "UKETSUKE_CHILD_NICENESS": "0",  # this machine is busy with the drill itself
    }
    scene = Scene(house=house, crowd=crowd, dice=random.Random(f"{seed} fault"), lease=lease)
    await asyncio.gather(
        *(scene.add_front() for _ in range(fronts)), *(scene.add_back() for _ in range(backs))
    )
    try:
        yield scene
    finally:
        for worker in (*scene.fronts, *scene.backs, *scene.gone):
            worker.send(signal.SIGCONT)
            worker.kill()
