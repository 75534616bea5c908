"""A worker with knocks at its door and no room."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from math import inf
from typing import Any

from back_service.consumer import Consumer
from back_service.knocks import WAIT_PATIENCE
from back_service.leases import Held, Leases
from shared.broker.delivery import Delivery
from shared.broker.early import Heard
from shared.contract.ids import JobId
from shared.contract.job_types import Catalogue
from shared.contract.jobs import Job
from shared.contract.messages import encode_knock
from shared.runtime.metrics import BackMetrics
from shared.store.work import Claimed
from tests.support.builders import a_job, a_job_id
from tests.support.clock import ManualClock
from tests.unit.back.lines import FakeLines, a_lines

ROUTE = "jobs.default.normal"


class Door:
    """A subscriber and the custody of what it gave; remembers what was settled."""

    def __init__(self) -> None:
        self.waiting: dict[str, deque[Delivery]] = {ROUTE: deque()}
        self.early: deque[Heard] = deque()
        self.news = asyncio.Event()
        self.acked: list[int] = []
        self.rejected: list[int] = []

    def knock(self, tag: int, body: bytes, now: float) -> None:
        custody: Any = self
        self.waiting[ROUTE].append(
            Delivery(
                body=body,
                route=ROUTE,
                headers={},
                message_id=None,
                user_id=None,
                redelivered=False,
                arrived_at=now,
                custody=custody,
                tag=tag,
            )
        )
        self.news.set()

    async def ack(self, tags: list[int]) -> int:
        self.acked += tags
        return len(tags)

    async def reject(self, tag: int) -> int:
        self.rejected.append(tag)
        return 1

    async def pause(self) -> None:
        """There is no broker to tell."""


class Work:
    """A store that gives what is asked for, and remembers what was knocked for again."""

    def __init__(self) -> None:
        self.later: list[JobId] = []

    async def claim(self, job_ids: list[JobId], *, keyed: bool, later: Any = ()) -> Claimed:
        self.later += later
        return Claimed(jobs=[a_job(id=job_id) for job_id in job_ids if not keyed])


class Silent:
    """Tells nobody."""

    def tell(self, *_: object, **__: object) -> None:
        """Nothing."""


class Busy:
    """A runner that never comes to an end by itself."""

    def __init__(self) -> None:
        self.running: list[JobId] = []

    async def run(self, job: Job, held: Held) -> object:
        held.begin(until=inf)
        self.running.append(job.id)
        await asyncio.Event().wait()
        return None


@asynccontextmanager
async def a_full_worker(door: Door, work: Work, clock: ManualClock) -> AsyncIterator[None]:
    """One slot, and it is taken."""
    stand_ins: dict[str, Any] = {
        "work": work,
        "runner": (runner := Busy()),
        "finisher": None,
        "subscriber": door,
        "teller": Silent(),
    }
    consumer = Consumer(
        **stand_ins,
        leases=Leases(stand_ins["work"], lease=timedelta(seconds=10), clock=clock),
        catalogue=Catalogue([]),
        clock=clock,
        metrics=BackMetrics(),
        concurrency=1,
        turn=1,
        drain=timedelta(0),
        lines=a_lines(FakeLines(), clock, slots=1),
    )
    running = asyncio.create_task(consumer.run())
    try:
        door.knock(1, encode_knock([a_job_id()], keyed=False), clock.now)
        await so_that(lambda: bool(runner.running))
        yield
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def so_that(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not is_true():  # noqa: ASYNC110  what is looked at announces nothing
            await asyncio.sleep(0.01)


async def test_what_waited_too_long_is_offered_to_others() -> None:
    """Another worker may have room; the broker's message has done its duty then."""
    door, work, clock, job_id = Door(), Work(), ManualClock(), a_job_id()
    async with a_full_worker(door, work, clock):
        door.knock(2, encode_knock([job_id], keyed=False), clock.now)
        clock.pass_by(WAIT_PATIENCE + 1)

        await so_that(lambda: 2 in door.acked)

    assert work.later == [job_id]


async def test_what_cannot_be_read_is_rejected_even_while_there_is_no_room() -> None:
    """Kept unsettled, a few of them would use the prefetch up, and the queue fall silent."""
    door, work, clock = Door(), Work(), ManualClock()
    async with a_full_worker(door, work, clock):
        door.knock(2, b"no knock", clock.now)
        clock.pass_by(WAIT_PATIENCE + 1)

        await so_that(lambda: door.rejected == [2])

    assert not work.later
