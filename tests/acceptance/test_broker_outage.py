"""What goes on while the broker is away, and how soon all is well when it is back."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic

import pytest

from deploy.local.rabbitmq import RabbitMQ
from tests.support.callers import Caller, Reply, keep_pace, open_session, quantile, told
from tests.support.endings import all_have_ended, last_frame
from tests.support.house import House
from tests.support.logbook import most_in_a_second
from tests.support.waiting import until

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.servers,
    pytest.mark.timed,
    pytest.mark.timeout(120),
]

_NOT_YET = datetime.min.replace(tzinfo=UTC)
_RATE = 40.0  # submits a second
_KNOWN = 0.1  # seconds: the p99 of a submit once the outage is known
_AT_FIRST = 1.5  # seconds: the p99 with those from before it was known
_LINES = 20  # in the log of a service, in its busiest second
_BACK_WITHIN = 5.0  # seconds from the broker's return to the last job of the outage


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """One way to lose the broker and to have it back; both are called in a thread."""

    name: str
    begin: Callable[[RabbitMQ], object]
    end: Callable[[RabbitMQ], None]
    known_within: float  # seconds until submits no longer wait for a confirm
    goes_on: float = 1.0  # seconds, after everything was tried


@dataclass(slots=True, kw_only=True)
class Story:
    """What the test did and saw."""

    submits: list[Reply] = field(default_factory=list)
    begun: float = 0.0  # monotonic
    begun_at: datetime = _NOT_YET
    known: float = 0.0
    mended: float = 0.0  # the broker is being started
    back: float = 0.0
    back_at: datetime = _NOT_YET

    @property
    def at_first(self) -> list[Reply]:
        return [r for r in self.submits if self.begun <= r.due < self.known]

    @property
    def later(self) -> list[Reply]:
        return [r for r in self.submits if self.known <= r.due < self.mended]

    @property
    def at_last(self) -> list[Reply]:
        return [r for r in self.submits if self.mended <= r.due < self.back]


STOPPED = Outage(name="stopped", begin=RabbitMQ.stop, end=RabbitMQ.start, known_within=4.0)
KILLED = Outage(name="killed", begin=RabbitMQ.kill, end=RabbitMQ.start, known_within=1.0)
FROZEN = Outage(
    name="frozen", begin=RabbitMQ.freeze, end=RabbitMQ.thaw, known_within=4.0, goes_on=3.5
)


async def started(caller: Caller, seconds: float) -> str:
    """Submit a job that takes *seconds*, and wait until it runs."""
    ticket = await caller.submit("/api/demo/sleep", {"seconds": seconds})
    assert ticket.status == 202

    async def runs() -> bool:
        found = await caller.get(f"/api/jobs/{ticket.job_id}")
        return bool(found.body["state"] == "running")

    await until(runs, within=10, what="the job runs")
    return ticket.job_id


async def state_of(caller: Caller, job_id: str) -> str:
    found = await caller.get(f"/api/jobs/{job_id}")
    assert found.status == 200
    return str(found.body["state"])


async def has_state(caller: Caller, job_id: str, state: str, *, within: float) -> None:
    async def has_it() -> bool:
        return await state_of(caller, job_id) == state

    await until(has_it, within=within, what=f"{job_id} is {state}")


@pytest.mark.parametrize("outage", [STOPPED, KILLED, FROZEN], ids=lambda outage: outage.name)
async def test_the_broker_may_go_and_nobody_waits_for_it(
    mortal_house: House, outage: Outage
) -> None:
    """The broker carries hints: without it jobs are taken, told of, cancelled and finished."""
    house, broker, story = mortal_house, mortal_house.stack.broker, Story()
    front, back = await house.front(), await house.back()
    await asyncio.to_thread(broker.settle)
    base, stop = house.url(front), asyncio.Event()

    async with open_session() as session, asyncio.TaskGroup() as group:
        caller = Caller(session, base)

        async def submit(number: int, due: float) -> Reply:
            return await caller.submit("/api/probes/step", {"number": number}, due=due)

        long, doomed = await started(caller, 3.0), await started(caller, 60.0)
        pace = group.create_task(keep_pace(submit, rate=_RATE, stop=stop, replies=story.submits))
        watchers = [group.create_task(last_frame(base, long))]
        await asyncio.sleep(0.5)  # load without a fault

        story.begun, story.begun_at = monotonic(), datetime.now(UTC)
        await asyncio.to_thread(outage.begin, broker)
        try:
            await during(caller, story, outage, long=long, doomed=doomed)
            waiting = await caller.submit("/api/probes/step", {"number": -1})
            watchers.append(group.create_task(last_frame(base, waiting.job_id)))
            await asyncio.sleep(outage.goes_on)  # load while the outage is known
        finally:
            story.mended = monotonic()
            await asyncio.to_thread(outage.end, broker)
        story.back, story.back_at = monotonic(), datetime.now(UTC)
        await asyncio.sleep(0.5)  # load while it recovers
        stop.set()
        await pace
        async with asyncio.timeout(20):
            frames = [await watcher for watcher in watchers]

        await all_have_ended(house)
        health = await caller.get("/readyz")

    await judge(house, story, outage)
    assert [frame["status"] for frame in frames] == ["completed"] * 2
    assert health.body["broker"] == "up"
    said = [most_in_a_second(w, story.begun_at, story.back_at) for w in (front, back)]
    print(f"  lines in the busiest second: front {said[0]}, back {said[1]}")
    assert max(said) <= _LINES
    assert (front.exit_code, back.exit_code) == (None, None)


async def during(caller: Caller, story: Story, outage: Outage, *, long: str, doomed: str) -> None:
    """Do what must work without a broker."""

    async def is_known() -> bool:
        health = await caller.get("/readyz")
        assert health.status == 200
        return bool(health.body["broker"] == "degraded")

    await until(is_known, within=outage.known_within, what="the outage is known")
    story.known = monotonic()

    waiting = await caller.submit("/api/probes/step", {"number": -2})
    assert waiting.status == 202
    gone = await caller.post(f"/api/probes/cancel/{waiting.job_id}")
    assert (gone.status, gone.body["state"]) == (200, "cancelled")

    asked = await caller.post(f"/api/demo/cancel/{doomed}")
    assert asked.status == 202
    await has_state(caller, doomed, "cancelled", within=3)
    await has_state(caller, long, "completed", within=6)


async def judge(house: House, story: Story, outage: Outage) -> None:
    """Hold the story against what was promised."""
    jobs = await house.fetch("SELECT id, state, attempt, created_at, completed_at FROM jobs")
    runs = await house.fetch("SELECT job_id FROM job_events WHERE kind = 'running'")
    effects = await house.fetchval("SELECT count(*) FROM effects")
    by_id = {str(job["id"]): job for job in jobs}
    accepted = {reply.job_id for reply in story.submits if reply.status == 202}
    late = max((by_id[i]["completed_at"] - story.back_at).total_seconds() for i in accepted)
    depth = await house.fetchval("SELECT count(*) FROM outbox")
    print(
        f"\n{outage.name}: known after {story.known - story.begun:.2f} s,"
        f" away for {story.back - story.begun:.1f} s"
        f"\n  submits at first  {told(story.at_first)}"
        f"\n  submits once known {told(story.later)}"
        f"\n  submits while it boots {told(story.at_last)}"
        f"\n  last job done {late:.2f} s after the return; {len(runs)} runs of {len(jobs)} jobs;"
        f" {depth} knocks left",
    )
    assert {reply.status for reply in story.submits} == {202}
    assert quantile([r.took for r in (*story.at_first, *story.later)], 0.99) <= _AT_FIRST
    assert len(story.later) >= 50
    assert quantile([r.took for r in story.later], 0.99) <= _KNOWN
    assert late <= _BACK_WITHIN
    assert Counter(job["state"] for job in jobs) == {"completed": len(jobs) - 2, "cancelled": 2}
    assert effects == len(accepted) + 1
    assert max(Counter(run["job_id"] for run in runs).values()) == 1
