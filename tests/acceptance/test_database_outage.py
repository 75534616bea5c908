"""What callers are told while the database is away, and what becomes of the work."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from time import monotonic

import orjson
import pytest

from deploy.local.postgres import Postgres
from tests.support.callers import Caller, Reply, keep_pace, open_session, quantile, told
from tests.support.endings import all_have_ended, last_frame
from tests.support.house import House, Worker
from tests.support.logbook import most_in_a_second
from tests.support.waiting import until

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.servers,
    pytest.mark.timed,
    pytest.mark.timeout(120),
]

_NOT_YET = datetime.min.replace(tzinfo=UTC)
_RATE = 30.0  # submits a second, and as many questions for a status
_REFUSED_WITHIN = 1.5  # seconds, p99
_FIRST_WITHIN = 3.0  # seconds from the database's return to the first 202
_LINES = 20  # in the log of a service, in its busiest second
_HALF_A_CORE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """One way to lose the database and to have it back; both are called in a thread."""

    name: str
    begin: Callable[[Postgres], object]
    end: Callable[[Postgres], None]
    lasts: float  # seconds
    lease: float

    @property
    def is_short(self) -> bool:
        """Leases outlast it: what runs need not run again."""
        return self.lasts < self.lease


@dataclass(slots=True, kw_only=True)
class Story:
    """What the test did and saw."""

    submits: list[Reply] = field(default_factory=list)
    looks: list[Reply] = field(default_factory=list)
    begun: float = 0.0  # monotonic
    back: float = 0.0
    begun_at: datetime = _NOT_YET
    back_at: datetime = _NOT_YET
    cpu: float = 0.0  # seconds that the back has used meanwhile

    @property
    def refused(self) -> list[Reply]:
        return [r for r in (*self.submits, *self.looks) if r.status == 503]

    @property
    def accepted(self) -> list[Reply]:
        return [r for r in self.submits if r.status == 202]


OUTAGES = [
    Outage(name="stopped", begin=Postgres.stop, end=Postgres.start, lasts=2.0, lease=10),
    Outage(name="killed", begin=Postgres.kill, end=Postgres.start, lasts=2.0, lease=10),
    Outage(name="frozen", begin=Postgres.freeze, end=Postgres.thaw, lasts=5.0, lease=10),
    Outage(name="away-for-long", begin=Postgres.kill, end=Postgres.start, lasts=5.0, lease=2),
]


@pytest.mark.parametrize("outage", OUTAGES, ids=lambda outage: outage.name)
async def test_the_database_may_go_and_no_promise_is_broken(
    mortal_house: House, outage: Outage
) -> None:
    """Without the truth nothing is promised: try again. What was promised before is kept."""
    house, postgres, story = mortal_house, mortal_house.stack.postgres, Story()
    front, back = await house.front(), await house.back(lease=outage.lease)
    stop = asyncio.Event()

    async with open_session() as session, asyncio.TaskGroup() as group:
        caller = Caller(session, house.url(front))
        ticket = await caller.submit("/api/demo/sleep", {"seconds": 3.0})
        watcher = group.create_task(last_frame(house.url(front), ticket.job_id))
        pace = group.create_task(call_all_along(caller, story, stop))
        await until(lambda: has_runs(house), within=10, what="jobs run")
        await asyncio.sleep(1)  # load without a fault

        story.begun, story.begun_at, spent = monotonic(), datetime.now(UTC), cpu_seconds(back)
        await asyncio.to_thread(outage.begin, postgres)
        try:
            await during(caller, story, outage)
        finally:
            story.cpu = cpu_seconds(back) - spent
            await asyncio.to_thread(outage.end, postgres)
        story.back, story.back_at = monotonic(), datetime.now(UTC)
        await until(lambda: is_well(story), within=_FIRST_WITHIN, what="submits are taken again")
        stop.set()
        await pace
        async with asyncio.timeout(30):
            frame = await watcher
        await all_have_ended(house)
        health = await caller.get("/readyz")

    judge_answers(story, outage)
    judge_services(story, front, back)
    await judge_jobs(house, story, outage)
    assert frame["status"] == "completed"
    assert health.status == 200


async def call_all_along(caller: Caller, story: Story, stop: asyncio.Event) -> None:
    async def submit(number: int, due: float) -> Reply:
        asked = {"number": number, "seconds": 0.2}
        return await caller.submit("/api/probes/step", asked, due=due)

    async def look(number: int, due: float) -> Reply:
        known = story.accepted
        job_id = known[-1 - number % min(50, len(known))].job_id
        return await caller.get(f"/api/probes/status/{job_id}", due=due)

    async with asyncio.TaskGroup() as group:
        group.create_task(keep_pace(submit, rate=_RATE, stop=stop, replies=story.submits))
        await until(lambda: is_true(story.accepted), within=10, what="a job is accepted")
        group.create_task(keep_pace(look, rate=_RATE, stop=stop, replies=story.looks))


async def is_well(story: Story) -> bool:
    """Say whether the last ten submits were accepted after the database came back."""
    last = story.submits[-10:]
    return all(reply.status == 202 and reply.due >= story.back for reply in last)


async def is_true(what: object) -> bool:
    return bool(what)


async def has_runs(house: House) -> bool:
    return bool(await house.fetchval("SELECT count(*) > 2 FROM jobs WHERE state = 'running'"))


async def during(caller: Caller, story: Story, outage: Outage) -> None:
    """See that the front says what is the case, and wait."""
    seen_unready = False
    for moment in count(1):
        await asyncio.sleep(max(0.0, story.begun + 0.5 * moment - monotonic()))
        assert (await caller.get("/livez")).status == 200
        seen_unready |= (await caller.get("/readyz")).status == 503
        if monotonic() - story.begun >= outage.lasts:
            break
    assert seen_unready == (outage.lasts > 4), "not ready after three seconds, and not sooner"


def judge_answers(story: Story, outage: Outage) -> None:
    """Hold what callers were told against what they were promised."""
    first = min(r.ended for r in story.accepted if r.due >= story.back)
    print(
        f"\n{outage.name}: away for {story.back - story.begun:.1f} s,"
        f" lease {outage.lease} s; first 202 {first - story.back:.2f} s after its return"
        f"\n  submits {Counter(r.status for r in story.submits)}"
        f" looks {Counter(r.status for r in story.looks)}"
        f"\n  refusals {told(story.refused)}"
        f"\n  others   {told([r for r in (*story.submits, *story.looks) if r.status != 503])}"
    )
    assert {reply.status for reply in story.submits} == {202, 503}
    assert {reply.status for reply in story.looks} == {200, 503}
    for reply in story.refused:
        assert reply.headers["Content-Type"] == "application/problem+json"
        assert int(reply.headers["Retry-After"]) >= 1
    assert quantile([reply.took for reply in story.refused], 0.99) <= _REFUSED_WITHIN
    assert first - story.back <= _FIRST_WITHIN


def judge_services(story: Story, front: Worker, back: Worker) -> None:
    """Nobody died, spun or shouted."""
    said = [most_in_a_second(worker, story.begun_at, story.back_at) for worker in (front, back)]
    load = story.cpu / (story.back - story.begun)
    print(f"  lines in the busiest second: front {said[0]}, back {said[1]}; back's CPU {load:.2f}")
    assert (front.exit_code, back.exit_code) == (None, None)
    assert max(said) <= _LINES
    assert load <= _HALF_A_CORE


async def judge_jobs(house: House, story: Story, outage: Outage) -> None:
    """Everything accepted ended once, with its effect done once."""
    jobs = await house.fetch(
        "SELECT id, type, state, attempt, crashes, result, completed_at FROM jobs"
    )
    events = await house.fetch("SELECT job_id, kind, sequence FROM job_events")
    effects = await house.fetchval("SELECT count(*) FROM effects")
    kinds = Counter(event["kind"] for event in events)
    runs = Counter(event["job_id"] for event in events if event["kind"] == "running")
    late = max((job["completed_at"] - story.back_at).total_seconds() for job in jobs)
    print(
        f"  {len(jobs)} jobs, {len(story.accepted) + 1} accepted; {dict(kinds)};"
        f" last ended {late:.2f} s after the return"
    )
    assert {reply.job_id for reply in story.accepted} <= {str(job["id"]) for job in jobs}
    assert kinds["completed"] == len(jobs)
    assert kinds["retrying"] == 0, "an outage is no fault of the handler"
    assert sum(event["sequence"] for event in events) == sum(
        n * (n + 1) // 2 for n in Counter(event["job_id"] for event in events).values()
    )
    steps = [job for job in jobs if job["type"] == "probes.step"]
    assert effects == len(steps)
    for job in steps:
        if runs[job["id"]] == 1:
            assert orjson.loads(job["result"])["did_it"], "nobody else can have done it"
    if outage.is_short:
        assert kinds["running"] == len(jobs), "what held a lease was not taken from it"


def cpu_seconds(worker: Worker) -> float:
    """Read how much processor time a process has used."""
    fields = Path(f"/proc/{worker.pid}/stat").read_text(encoding="ascii").rpartition(") ")[2]
    user, system = fields.split()[11:13]
    return (int(user) + int(system)) / 100
