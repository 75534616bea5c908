"""What jobs that harm their worker do to it, and to their neighbours."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.callers import Caller, open_session
from tests.support.endings import all_have_ended
from tests.support.house import House, Worker
from tests.support.logbook import lines
from tests.support.waiting import until

pytestmark = [pytest.mark.acceptance, pytest.mark.servers, pytest.mark.timeout(180)]

_SETTINGS = {
    "UKETSUKE_JOB_TYPES": "tests.support.perils",
    "UKETSUKE_HANDLERS": "tests.support.perils",
    "UKETSUKE_LEASE": "3",
}
_INNOCENTS = 30


@asynccontextmanager
async def a_caller(house: House) -> AsyncIterator[Caller]:
    house.extra |= _SETTINGS
    front = await house.front()
    async with open_session() as session:
        yield Caller(session, house.url(front))


async def submitted(caller: Caller, kind: str, **request: object) -> str:
    ticket = await caller.submit(f"/api/perils/{kind}", request)
    assert ticket.status == 202, ticket.body
    return ticket.job_id


def says(worker: Worker, event: str) -> list[dict[str, object]]:
    return [line for line in lines(worker) if line["event"] == event]


async def test_i17_blocked_loop_exits(house: House) -> None:
    """A process whose loop stands still ends by itself; another one runs all of its jobs."""
    async with a_caller(house) as caller:
        stalled = await house.back(concurrency=4, stall_limit=2)
        beside = [await submitted(caller, "long", seconds=20, again=1) for _ in range(2)]

        async def both_run() -> bool:
            return len(says(stalled, "job started")) == 2

        await until(both_run, within=10, what="the neighbours run")
        blocking = await submitted(caller, "block", seconds=60)

        async def ended() -> bool:
            return stalled.exit_code is not None

        await until(ended, within=15, what="the watchdog ends the process")
        other = await house.back()
        await all_have_ended(house, within=60)

    warnings = [str(warning["exception"]) for warning in says(stalled, "loop stalled")]
    jobs = await house.fetch("SELECT id, state, attempt, crashes FROM jobs")
    assert stalled.exit_code == 70
    assert len([places for places in warnings if "block_the_loop" in places]) == 1
    assert {job["state"] for job in jobs} == {"completed"}
    assert {str(job["id"]) for job in jobs} == {blocking, *beside}
    assert [(job["attempt"], job["crashes"]) for job in jobs] == [(2, 1)] * 3
    assert other.exit_code is None


async def test_poison_among_the_innocent(house: House) -> None:
    """One job ends every worker that runs it: it alone is found guilty, all others complete."""
    house.extra["UKETSUKE_CONCURRENCY"] = "16"
    async with a_caller(house) as caller, asyncio.TaskGroup() as group:
        backs = [await house.back() for _ in range(3)]
        innocents = [
            await submitted(caller, "long", seconds=4, again=1.5) for _ in range(_INNOCENTS)
        ]
        poison = await submitted(caller, "exit", seconds=1)
        deaths: list[int | None] = []
        supervising = group.create_task(supervise(house, backs, deaths))
        await all_have_ended(house, within=150)
        supervising.cancel()

    jobs = await house.fetch("SELECT id, state, error_code, crashes FROM jobs")
    by_id = {str(job["id"]): job for job in jobs}
    crashes = Counter(by_id[job_id]["crashes"] for job_id in innocents)
    print(f"\n  deaths of workers {deaths}, crashes of the innocent {dict(crashes)}")
    assert deaths == [3, 3]  # and the third time it was alone
    assert (by_id[poison]["state"], by_id[poison]["error_code"]) == ("failed", "crash_loop")
    assert {by_id[job_id]["state"] for job_id in innocents} == {"completed"}
    assert crashes[1] + crashes[2] >= 2  # else there was nobody beside it
    assert max(crashes) <= 2


async def test_a_worker_and_its_quarantine_drain_at_the_same_time(house: House) -> None:
    """Each runs a job that outlasts its drain: both are interrupted, and none is lost."""
    async with a_caller(house) as caller:
        beside, suspect = [await submitted(caller, "long", seconds=100) for _ in range(2)]
        await house.fetch("UPDATE jobs SET crashes = 2 WHERE id = $1", suspect)
        worker = await house.back(drain=6)

        async def both_run() -> bool:
            return len(says(worker, "job started")) == 2

        await until(both_run, within=30, what="one runs beside others, and one alone")
        assert await worker.terminate() == 0

    drains = [line["event"] for line in lines(worker) if line["event"] in {"draining", "drained"}]
    jobs = await house.fetch("SELECT id, state, crashes FROM jobs")
    assert drains == ["draining"] * 2 + ["drained"] * 2
    assert says(worker, "quarantine ended by its job") == []
    assert {(str(job["id"]), job["state"], job["crashes"]) for job in jobs} == {
        (beside, "queued", 0),
        (suspect, "queued", 2),
    }


async def supervise(house: House, backs: list[Worker], deaths: list[int | None]) -> None:
    """Start a worker anew whenever one has ended, as whoever runs it for real does."""
    while True:
        await asyncio.sleep(0.1)
        for place, worker in enumerate(backs):
            if worker.exit_code is not None:
                deaths.append(worker.exit_code)
                backs[place] = await house.back()
