"""What more backs bring: the same backlog of jobs that wait 100 ms, with 1, 2 and 4 replicas.

Each replica has few slots, so that they are the limit and not the processors of one machine:
what is shown is that replicas share the work without getting into each other's way.
"""

import asyncio
import statistics
from pathlib import Path
from typing import Any, Final

import aiohttp

from deploy.local.stack import Stack
from tests.support.house import House, open_house
from tests.support.waiting import until

REPLICAS: Final = (1, 2, 4)
_SLOTS: Final = 8
_WORK: Final = 0.1  # seconds that a job waits
_WARM: Final = 2.0  # seconds
_STARTING: Final = 15.0  # seconds that the first may work before the last is up, at the most
_SUBMITTERS: Final = 32
_COMPLETED: Final = """
SELECT count(*) FROM jobs
 WHERE completed_at BETWEEN now() - $1::float8 * interval '1 s' AND now()
"""


async def measure_scale(
    stack: Stack, folder: Path, *, rounds: int, seconds: float
) -> dict[str, Any]:
    """Measure each number of replicas in turn, *rounds* times; give medians and what they gain."""
    told: dict[int, list[float]] = {number: [] for number in REPLICAS}
    for turn in range(rounds):
        for number in REPLICAS:
            place = folder / f"{turn}-{number}"
            place.mkdir(parents=True, exist_ok=True)
            async with open_house(stack, place) as house:
                speed = await _measure(house, number, seconds)
            told[number].append(speed)
            print(f"  {number} replicas of {_SLOTS} slots: {speed:.1f} jobs/s", flush=True)
    medians = {number: statistics.median(speeds) for number, speeds in told.items()}
    return {
        "slots_per_replica": _SLOTS,
        "work_ms": round(_WORK * 1_000),
        "jobs_per_s": {str(number): round(speed, 1) for number, speed in medians.items()},
        "gain_1_to_2": round(medians[2] / medians[1], 2),
        "gain_1_to_4": round(medians[4] / medians[1], 2),
    }


async def _measure(house: House, replicas: int, seconds: float) -> float:
    """Give the jobs that were completed a second, while there were always more to do."""
    front = await house.front()
    rate = replicas * _SLOTS / _WORK
    await _submit(house.url(front), round(rate * (seconds + _STARTING)))
    own = _SLOTS + 1  # one is kept for high priority
    backs = await asyncio.gather(*(house.back(concurrency=own) for _ in range(replicas)))

    async def all_work() -> bool:
        running = await house.fetchval("SELECT count(*) FROM jobs WHERE state = 'running'")
        return running == replicas * _SLOTS

    await until(all_work, within=30, what="every slot is in use")
    await asyncio.sleep(_WARM + seconds)
    done = await house.fetchval(_COMPLETED, seconds)
    left = await house.fetchval("SELECT count(*) FROM jobs WHERE state = 'queued'")
    if not left:
        raise RuntimeError("the backlog was too short: the workers ran out of work")
    for back in backs:
        back.kill()
    return int(str(done)) / seconds


async def _submit(url: str, number: int) -> None:
    jobs = iter(range(number))

    async def submitter(session: aiohttp.ClientSession) -> None:
        for _ in jobs:
            body = {"seconds": _WORK, "steps": 1}
            async with session.post("/api/demo/sleep", json=body) as answer:
                answer.raise_for_status()

    async with aiohttp.ClientSession(url) as session:
        await asyncio.gather(*(submitter(session) for _ in range(_SUBMITTERS)))
