"""Where a drill takes place: fronts and backs that may be struck, and are replaced."""

import asyncio
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from tests.campaign.crowd import Crowd
from tests.campaign.history import Asked
from tests.campaign.tale import Tale
from tests.support.house import House, Worker
from tests.support.waiting import NotInTime, until

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """How many services there are, and how they are set; all times in seconds."""

    fronts: int = 2
    backs: int = 3
    slots: int = 12  # of each back
    lease: float = 2.0
    front: Mapping[str, object] = field(default_factory=dict)  # further settings of fronts
    back: Mapping[str, object] = field(default_factory=dict)
    slow: float = 1.0  # the longest job
    keys: int = 50
    every: float = 0.02  # between two submits of one client, on average
    warm: float = 3.0  # of load before the fault


@dataclass(slots=True, kw_only=True)
class Scene:
    """A house at work, and what was done to it. *bites* counts what the fault really did."""

    house: House
    crowd: Crowd
    dice: random.Random
    stage: Stage
    fronts: list[Worker] = field(default_factory=list)
    backs: list[Worker] = field(default_factory=list)
    gone: list[Worker] = field(default_factory=list)
    bites: Counter[str] = field(default_factory=Counter)
    figures: dict[str, float] = field(default_factory=dict)
    _tales: dict[int, Tale] = field(default_factory=dict)
    struck: list[tuple[float, set[str]]] = field(default_factory=list)  # when, and which jobs

    @property
    def lease(self) -> float:
        return self.stage.lease

    @property
    def vhost(self) -> str:
        return self.house.amqp_url.rsplit("/", 1)[1]

    def bite(self, what: str, times: int = 1) -> None:
        self.bites[what] += times

    def note_most(self, figure: str, value: float) -> None:
        """Keep *value* if it is the largest of that *figure*."""
        self.figures[figure] = max(self.figures.get(figure, 0.0), round(value, 2))

    async def add_front(self, *, module: str = "front_service", **settings: object) -> Worker:
        front = await self.house.front(module=module, **{**self.stage.front, **settings})
        self.fronts.append(front)
        self.crowd.fronts.append(self.house.url(front))
        return front

    async def add_back(self, *, module: str = "back_service", **settings: object) -> Worker:
        chosen = {"concurrency": self.stage.slots, "lease": self.lease, **self.stage.back}
        back = await self.house.back(module=module, **{**chosen, **settings})
        self.backs.append(back)
        return back

    def take_back(self) -> Worker:
        """Choose a back that is to be harmed; it is no longer one of ours."""
        back = self.backs.pop(self.dice.randrange(len(self.backs)))
        self.gone.append(back)
        return back

    async def remove_front(self, front: Worker) -> int:
        """Let a front drain: nobody is sent to it any more, and who is there is sent away."""
        self.forget_front(front)
        return await front.terminate()

    def forget_front(self, front: Worker) -> None:
        """Send nobody to *front* any more."""
        self.crowd.fronts.remove(self.house.url(front))
        self.fronts.remove(front)

    def stale_writes_refused(self) -> int:
        """Count the writes of old tokens that the store turned down, by the workers' own logs.

        That of a job whose cancel was asked for may have been late for that reason alone.
        """
        cancelled = {
            job_id for job_id, asked in self.crowd.history.accepted() if asked.is_cancelled
        }
        return sum(
            job_id not in cancelled
            for worker in (*self.backs, *self.gone)
            for job_id in self._tale(worker).refused
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

    async def have_ended(self, asked: Sequence[Asked], *, within: float) -> None:
        """Wait until every job of *asked* has its ending."""
        ids = [job_id for one in asked for job_id in one.job_ids]

        async def none_is_left() -> bool:
            query = "SELECT count(*) FROM jobs WHERE id = ANY($1::uuid[]) AND completed_at IS NULL"
            return await self.house.fetchval(query, ids) == 0

        await until(none_is_left, within=within, what="these jobs have ended", every=0.2)

    def running_on(self, worker: Worker) -> set[str]:
        """Name the jobs that *worker* has begun and not ended, by its own log."""
        return set(self._tale(worker).running)

    def _tale(self, worker: Worker) -> Tale:
        return self._tales.setdefault(id(worker), Tale(worker)).hear()

    async def runs_something(self, worker: Worker, *, jobs: int = 1) -> None:
        """Wait until *worker* runs jobs of some length: a fault that meets no work is none."""

        async def is_busy() -> bool:
            return len(self.running_on(worker)) >= jobs

        await until(is_busy, within=30, what="the worker has work", every=0.02)


@asynccontextmanager
async def open_scene(
    house: House, crowd: Crowd, *, seed: object, stage: Stage
) -> AsyncIterator[Scene]:
    """Start the services; leaving ends those that still run."""
    house.extra |= {
        "UKETSUKE_JOB_TYPES": "tests.campaign.drills",
        "UKETSUKE_HANDLERS": "tests.campaign.drills",
        "UKETSUKE_MAX_CRASHES": "100",  # it is we who end the workers, not the jobs
        "UKETSUKE_CHILD_NICENESS": "0",  # this machine is busy with the drill itself
    }
    scene = Scene(house=house, crowd=crowd, dice=random.Random(f"{seed} fault"), stage=stage)
    await asyncio.gather(
        *(scene.add_front() for _ in range(stage.fronts)),
        *(scene.add_back() for _ in range(stage.backs)),
    )
    try:
        yield scene
    finally:
        for worker in (*scene.fronts, *scene.backs, *scene.gone):
            worker.send(signal.SIGCONT)
            worker.kill()


async def first_answer(scene: Scene, since: float, figure: str) -> None:
    """Wait for the first 202 after *since*, and keep how long it took."""
    submits = scene.crowd.history.submits
    while True:
        found = next((at for at, status in submits[-500:] if status == 202 and at > since), None)
        if found is not None:
            scene.note_most(figure, found - since)
            return
        assert monotonic() < since + 30, "nothing was accepted any more"
        await asyncio.sleep(0.02)
