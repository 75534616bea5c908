"""Order per key, while workers and the broker die under the load."""

import asyncio
import random
import signal
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from deploy.local.stack import open_stack
from tests.support.house import House, Worker, open_house
from tests.support.lanes import is_out_of_order, overlaps
from tests.support.waiting import until

pytestmark = [pytest.mark.acceptance, pytest.mark.servers, pytest.mark.timeout(300)]

_JOBS, _KEYS, _SUBMITTERS, _BACKS = 2_000, 50, 4, 3
_SLOTS = 6
_SECONDS = 0.1  # of one step
_KILL_EVERY = 2.0
_BROKER_AFTER = 3  # kills of workers
_SEED = 20_11


@dataclass(slots=True)
class Faults:
    """What was really done to the services."""

    killed: int = 0
    broker_killed: int = 0
    refused: list[int] = field(default_factory=list)


@pytest.fixture
async def own_house(tmp_path: Path) -> AsyncIterator[House]:
    """Servers of its own, durable: this test kills them."""
    probes = {"UKETSUKE_JOB_TYPES": "tests.support.probes"}
    probes |= {"UKETSUKE_HANDLERS": "tests.support.probes", "UKETSUKE_LEASE": "2"}
    probes |= {"UKETSUKE_MAX_CRASHES": "100"}  # it is we who end the workers, not the jobs
    with open_stack(tmp_path / "stack", tcp=True) as stack:
        async with open_house(stack, tmp_path) as house:
            house.extra |= probes
            yield house


async def submit_share(
    session: aiohttp.ClientSession, base: str, submitter: int, faults: Faults
) -> None:
    """Submit one after the other, keys at random; every answer must be a 202."""
    dice = random.Random(f"{_SEED}.{submitter}")
    for number in range(_JOBS // _SUBMITTERS):
        body = {
            "submitter": submitter,
            "number": number,
            "seconds": _SECONDS,
            "failing": 0.1,
            "seed": _SEED,
            "job": {"orderingKey": f"key-{dice.randrange(_KEYS)}"},
        }
        async with session.post(f"{base}/api/probes/step", json=body) as answer:
            if answer.status != 202:
                faults.refused.append(answer.status)


async def do_harm(house: House, backs: list[Worker], faults: Faults, enough: asyncio.Event) -> None:
    """Kill one back every two seconds and start another; kill the broker once."""
    dice = random.Random(_SEED)
    async with asyncio.TaskGroup() as replacements:
        while not enough.is_set():
            await asyncio.sleep(_KILL_EVERY)  # the fault itself
            if not backs:
                continue  # all are still starting
            backs.pop(dice.randrange(len(backs))).send(signal.SIGKILL)
            faults.killed += 1
            replacements.create_task(replace(house, backs))
            if faults.killed == _BROKER_AFTER:
                await asyncio.to_thread(house.stack.broker.kill)
                await asyncio.to_thread(house.stack.broker.start)
                faults.broker_killed += 1


async def replace(house: House, backs: list[Worker]) -> None:
    backs.append(await house.back(concurrency=_SLOTS))


async def test_i5_order_holds_while_backs_and_the_broker_are_killed(own_house: House) -> None:
    """Jobs of a key run one at a time, in acceptance order, whatever dies."""
    house, faults, enough = own_house, Faults(), asyncio.Event()
    fronts = [await house.front() for _ in range(2)]
    backs = [await house.back(concurrency=_SLOTS) for _ in range(_BACKS)]

    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        harm = group.create_task(do_harm(house, backs, faults, enough))
        await asyncio.gather(
            *(
                submit_share(session, house.url(fronts[n % 2]), n, faults)
                for n in range(_SUBMITTERS)
            )
        )

        async def all_ended() -> bool:
            left = await house.fetchval("SELECT count(*) FROM jobs WHERE completed_at IS NULL")
            return left == 0 and faults.broker_killed == 1

        await until(all_ended, within=200, what="every job has an ending", every=0.5)
        enough.set()
        await harm

    jobs = await house.fetch("SELECT id, key, seq, state, request, crashes, attempt FROM jobs")
    events = await house.fetch("SELECT * FROM job_events ORDER BY job_id, sequence")
    effects = await house.fetch("SELECT job_id, token, at FROM effects")
    counts = summed_up(jobs, events, effects, faults)
    print(f"\nseed {_SEED}: {counts}")
    assert faults.refused == []
    assert len(jobs) == _JOBS
    assert {job["state"] for job in jobs} == {"completed"}
    assert counts["workers killed"] >= 5
    assert counts["rescued"] >= 5, "no fault has really hit a running job"
    assert counts["retries"] >= 100
    assert counts["keys out of order"] == 0
    assert counts["overlaps"] == 0
    assert counts["effects"] == _JOBS
    assert counts["effects of stale tokens"] == 0


def summed_up(
    jobs: Sequence[Any], events: Sequence[Any], effects: Sequence[Any], faults: Faults
) -> dict[str, int]:
    """Judge the history of every key."""
    by_job = defaultdict(list)
    for event in events:
        by_job[event["job_id"]].append(event)
    kinds = Counter(event["kind"] for event in events)
    lanes = defaultdict(list)
    for job in jobs:
        lanes[job["key"]].append(job)
    return {
        "jobs": len(jobs),
        "keys": len(lanes),
        "workers killed": faults.killed,
        "broker killed": faults.broker_killed,
        "retries": kinds["retrying"],
        "rescued": sum(job["crashes"] for job in jobs),
        "runs": kinds["running"],
        "keys out of order": sum(is_out_of_order(lane, by_job) for lane in lanes.values()),
        "overlaps": sum(overlaps(lane, by_job) for lane in lanes.values()),
        "effects": len(effects),
        "effects of stale tokens": sum(is_stale(e, by_job[e["job_id"]]) for e in effects),
    }


def is_stale(effect: Any, events: Sequence[Any]) -> bool:
    """Say whether an effect was accepted outside the run that its token belongs to."""
    for event, following in pairwise(events):
        if event["kind"] == "running" and event["token"] == effect["token"]:
            return not event["at"] <= effect["at"] <= following["at"]
    return True
