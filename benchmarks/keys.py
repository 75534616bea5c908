"""What ordering keys cost: no keys, ten thousand keys, and one hot key alone."""

import asyncio
import statistics
import time
from pathlib import Path
from typing import Any

import asyncpg

from benchmarks.compare import finish_all
from benchmarks.load import Spec, cpu_seconds, post_script, press, running

_MANY = 10_000


def measure_keys(
    spec: Spec, database_url: str, folder: Path, *, rounds: int, seconds: float
) -> dict[str, Any]:
    """Measure no keys and many keys in turn, then the hot key; give CPU a job and jobs a second."""
    costs: dict[int, list[float]] = {0: [], _MANY: []}
    hot = []
    with running(spec, folder) as groups:
        for _ in range(rounds):
            for keys, told in costs.items():
                cost, _speed = asyncio.run(
                    _measure(spec, groups, database_url, folder, keys=keys, seconds=seconds)
                )
                told.append(cost)
                print(f"  {keys:6} keys: {cost:.3f} ms CPU a job", flush=True)
            _cost, speed = asyncio.run(
                _measure(spec, groups, database_url, folder, keys=1, seconds=1)
            )
            hot.append(speed)
            print(f"  one hot key: {speed:.0f} jobs/s", flush=True)
    return {
        "cpu_ms_per_job_no_keys": round(statistics.median(costs[0]), 3),
        "cpu_ms_per_job_10000_keys": round(statistics.median(costs[_MANY]), 3),
        "ratio_10000_keys": round(
            statistics.median(many / none for none, many in zip(*costs.values(), strict=True)), 3
        ),
        "hot_key_jobs_per_s": round(statistics.median(hot)),
    }


async def _measure(
    spec: Spec, groups: list[int], url: str, folder: Path, *, keys: int, seconds: float
) -> tuple[float, float]:
    """Give CPU milliseconds a job, and jobs a second."""
    database = await asyncpg.connect(url)
    try:
        before = int(await database.fetchval(spec.finished_sql))
        cpu, begun = cpu_seconds(groups), time.monotonic()
        script = post_script(spec.body, folder, keys=keys)
        load = await asyncio.to_thread(press, spec.address, script, seconds=seconds)
        done, at = await finish_all(database, spec, before, load.accepted)
    finally:
        await database.close()
    if done < load.accepted:
        raise RuntimeError(f"{load.accepted - done} of {load.accepted} jobs did not finish")
    return 1000 * (cpu_seconds(groups) - cpu) / done, done / (at - begun)
