"""A steady load of small jobs, keyed and plain, and what must be true of them in the end."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from tests.campaign import results
from tests.support.callers import Caller, Reply, keep_pace, open_session, quantile
from tests.support.house import House, Worker
from tests.support.lanes import is_out_of_order, overlaps
from tests.support.logbook import lines

_KEYS = 10
_ENDINGS = frozenset(("completed", "failed", "cancelled", "expired"))


@dataclass(slots=True, kw_only=True)
class Load:
    """What was asked, and when: until the block ends, calls are still being made."""

    caller: Caller
    replies: list[Reply]
    begun_at: datetime

    @property
    def accepted(self) -> set[str]:
        return {reply.job_id for reply in self.replies if reply.status == 202}

    async def submit(self, number: int, due: float) -> Reply:
        """Submit a keyed job and a plain one in turn."""
        body: dict[str, Any] = {"seconds": 0.1, "steps": 1}
        if number % 2:
            body["job"] = {"orderingKey": f"key-{number // 2 % _KEYS}"}
        return await self.caller.submit("/api/demo/sleep", body, due=due)


@asynccontextmanager
async def steady_load(house: House, front: Worker, *, rate: float) -> AsyncIterator[Load]:
    """Make *rate* submits a second for the length of a block, whatever happens in it."""
    stop = asyncio.Event()
    async with open_session() as session, asyncio.TaskGroup() as group:
        load = Load(
            caller=Caller(session, house.url(front)), replies=[], begun_at=datetime.now(UTC)
        )
        group.create_task(keep_pace(load.submit, rate=rate, stop=stop, replies=load.replies))
        yield load
        stop.set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The history of all jobs, counted."""

    jobs: int
    lost: int  # accepted, and not there
    not_completed: int
    endings: Counter[int]  # how many jobs have that many
    keys: int
    keyed: int
    keys_out_of_order: int
    overlaps: int
    runs: int
    pause: float  # the longest without a completion, in seconds

    def is_sound(self) -> bool:
        """Say whether every promise was kept; time is the test's own to judge."""
        return (
            self.lost == self.not_completed == self.keys_out_of_order == self.overlaps == 0
            and self.endings == Counter({1: self.jobs})
            and self.keys == _KEYS
        )


async def judged(house: House, load: Load) -> Verdict:
    """Read the history of every job from the store; the load must have ended."""
    jobs = await house.fetch("SELECT id, key, seq, state, completed_at FROM jobs")
    events = await house.fetch("SELECT * FROM job_events ORDER BY job_id, sequence")
    by_job, lanes = defaultdict(list), defaultdict(list)
    for event in events:
        by_job[event["job_id"]].append(event)
    for job in jobs:
        if job["key"] is not None:
            lanes[job["key"]].append(job)
    ended = (sum(e["kind"] in _ENDINGS for e in by_job[job["id"]]) for job in jobs)
    return Verdict(
        jobs=len(jobs),
        lost=len(load.accepted - {str(job["id"]) for job in jobs}),
        not_completed=sum(job["state"] != "completed" for job in jobs),
        endings=Counter(ended),
        keys=len(lanes),
        keyed=sum(map(len, lanes.values())),
        keys_out_of_order=sum(is_out_of_order(lane, by_job) for lane in lanes.values()),
        overlaps=sum(overlaps(lane, by_job) for lane in lanes.values()),
        runs=sum(event["kind"] == "running" for event in events),
        pause=longest_pause([job["completed_at"] for job in jobs], since=load.begun_at),
    )


def keep_verdict(
    fault: str,
    verdict: Verdict,
    *,
    bites: Mapping[str, int],
    figures: Mapping[str, float],
    again: str,
) -> None:
    """Keep what a steady load came to as one line of the results."""
    results.keep(
        fault,
        bites=bites,
        counts={
            "accepted": verdict.jobs,
            "keyed": verdict.keyed,
            "runs": verdict.runs,
            "accepted and lost": verdict.lost,
            "not exactly one ending": verdict.jobs - verdict.endings[1],
            "order in a key": verdict.keys_out_of_order,
            "overlap in a key": verdict.overlaps,
        },
        figures=figures,
        again=again,
    )


def longest_pause(moments: Sequence[datetime], *, since: datetime) -> float:
    """Seconds of the longest time without one of *moments*, from *since* to the last of them."""
    in_order = [since, *sorted(moments)]
    return max((after - before).total_seconds() for before, after in pairwise(in_order))


def lost_its_broker(worker: Worker, since: datetime) -> bool:
    """Say whether a service has lost a connection to the broker after *since*."""
    return any(
        line["event"] == "broker lost" and datetime.fromisoformat(line["timestamp"]) >= since
        for line in lines(worker)
    )


def told(load: Load) -> str:
    """Sum up what callers were answered."""
    p99 = quantile([reply.took for reply in load.replies], 0.99)
    return f"{dict(Counter(r.status for r in load.replies))}, p99 {1000 * p99:.0f} ms"
