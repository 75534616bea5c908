"""Wrong wall clocks: an hour off, both ways, and jumping while jobs run."""

import asyncio
import signal
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from tests.campaign.drills import Kind
from tests.campaign.fault import Fault
from tests.campaign.history import Asked
from tests.campaign.scene import Scene
from tests.support.house import Worker
from tests.support.logbook import lines
from tests.support.waiting import until

_SKEWED: Final = "tests.support.skewed"
_WRONG: Final = (3600.0, -3600.0)  # seconds
_STEP: Final = 600.0  # seconds that a clock jumps by, away from the truth
_DELAY: Final = 1.5  # seconds
_WAITED: Final = """
SELECT extract(epoch FROM min(r.at) - min(a.at))::float8 AS waited
  FROM job_events a JOIN job_events r USING (job_id)
 WHERE a.kind = 'accepted' AND r.kind = 'running' AND job_id = ANY($1::uuid[])
 GROUP BY job_id
"""


async def skew_the_clocks(scene: Scene, seconds: float) -> None:
    """F18: leases, order and delays are none of a process's own clock."""
    straight = list(scene.fronts), list(scene.backs[1:])
    skewed = [await scene.add_front(module=_SKEWED, **_wrong("front_service", by)) for by in _WRONG]
    for front in straight[0]:
        await scene.remove_front(front)
    skewed += [await scene.add_back(module=_SKEWED, **_wrong("back_service", by)) for by in _WRONG]
    for back in straight[1]:
        scene.backs.remove(back)
        scene.gone.append(back)
        await back.terminate()
    delayed = [await scene.crowd.ask(Kind.QUICK, delay=_DELAY) for _ in range(40)]
    await asyncio.sleep(seconds / 2)  # load by wrong clocks
    for worker in skewed:
        worker.send(signal.SIGUSR2)
    await asyncio.sleep(seconds / 2)  # load by clocks that jumped
    scene.bite("clocks off by more than an hour", sum(map(_is_off, skewed)))
    waits = await _waits(scene, delayed)
    scene.figures["delay_early_s"] = round(max(0.0, _DELAY - min(waits)), 3)
    scene.figures["delay_late_s"] = round(max(waits) - _DELAY, 2)


async def see_crashes(scene: Scene) -> None:
    """Count the leases that lapsed, though nobody was harmed."""
    crashes = await scene.house.fetchval("SELECT sum(crashes) FROM jobs")
    scene.figures["leases_lapsed"] = int(str(crashes))


def _wrong(module: str, by: float) -> dict[str, str]:
    step = _STEP if by > 0 else -_STEP
    return {
        "test_skewed": module,
        "test_skew": f"{by}",
        "test_step": f"{step}",
    }


def _is_off(worker: Worker) -> bool:
    said = datetime.fromisoformat(lines(worker)[-1]["timestamp"]).timestamp()
    return abs(said - time.time()) > abs(_WRONG[0])


async def _waits(scene: Scene, delayed: Sequence[Asked]) -> list[float]:
    ids = [job_id for one in delayed for job_id in one.job_ids]

    async def all_ran() -> list[float]:
        rows = await scene.house.fetch(_WAITED, ids)
        return [row["waited"] for row in rows] if len(rows) == len(ids) else []

    return await until(all_ran, within=20, what="delayed jobs run")


FAULTS: Final[Sequence[Fault]] = (
    Fault(
        number="F18",
        name="clocks-wrong",
        harm=skew_the_clocks,
        bites={"clocks off by more than an hour": 4},
        look=see_crashes,
        limits={"leases_lapsed": 0, "delay_early_s": 0, "delay_late_s": 3},
    ),
)
