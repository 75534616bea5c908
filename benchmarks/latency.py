"""Does work in the back service slow the front one down? p99 under load against p99 at rest.

Rounds at rest and rounds under load, in turn: 50 submits and 50 status requests a second,
each sent when it is due, whether or not the ones before were answered. Under load every slot
of one back service computes in a child process or dawdles on its event loop; another back
does the submitted jobs, in all rounds alike.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.burning import BURN, DAWDLE, POOL
from deploy.local.stack import Stack, open_stack
from tests.support.callers import Caller, Reply, keep_pace, open_session, quantile
from tests.support.house import open_house
from tests.support.waiting import until

_RATE = 50.0
_SLOTS = 4
_PAIRS = 4  # many short rounds: whatever else the machine does then falls on both kinds
_MODULE = "benchmarks.burning"


async def measure_latency(stack: Stack, folder: Path, *, seconds: float) -> dict[str, Any]:
    """Give the quantiles of both kinds of rounds, in milliseconds, and their ratios.

    A round lasts *seconds*.
    """
    async with open_house(stack, folder) as house:
        house.extra |= {"UKETSUKE_JOB_TYPES": _MODULE, "UKETSUKE_HANDLERS": _MODULE}
        front = await house.front()
        await house.back()
        await house.back(pools=POOL, concurrency=2 * _SLOTS + 1)  # one is kept for high priority
        async with open_session() as session:
            caller = Caller(session, house.url(front))
            await _round(caller, 3)  # to warm up
            told: dict[str, list[Reply]] = {}
            for kind in _PAIRS * ("rest", "load"):
                async with _load(caller, _SLOTS if kind == "load" else 0):
                    for what, replies in (await _round(caller, seconds)).items():
                        told.setdefault(f"{kind}_{what}", []).extend(replies)
    return _summed_up(told)


@asynccontextmanager
async def _load(caller: Caller, slots: int) -> AsyncIterator[None]:
    """Have *slots* jobs compute and as many dawdle while inside."""
    jobs = [
        (await caller.submit("/api/" + job_type.name.replace(".", "/"), {})).job_id
        for job_type in (BURN, DAWDLE)
        for _ in range(slots)
    ]
    await _all_are(caller, jobs, "running")
    yield
    for job_id in jobs:
        await caller.post(f"/api/burning/cancel/{job_id}")
    await _all_are(caller, jobs, "cancelled")


async def _all_are(caller: Caller, jobs: list[str], state: str) -> None:
    for job_id in jobs:

        async def is_so(job_id: str = job_id) -> bool:
            return bool((await caller.get(f"/api/jobs/{job_id}")).body["state"] == state)

        await until(is_so, within=20, what=f"a job is {state}")


async def _round(caller: Caller, seconds: float) -> dict[str, list[Reply]]:
    """Call at the pace for that long; all must have been answered well."""
    known = [(await caller.submit("/api/demo/echo", {})).job_id for _ in range(20)]
    submits, looks, stop = list[Reply](), list[Reply](), asyncio.Event()

    async def submit(number: int, due: float) -> Reply:
        return await caller.submit("/api/demo/echo", {"payload": number}, due=due)

    async def look(number: int, due: float) -> Reply:
        return await caller.get(f"/api/demo/status/{known[number % len(known)]}", due=due)

    async with asyncio.TaskGroup() as group:
        group.create_task(keep_pace(submit, rate=_RATE, stop=stop, replies=submits))
        await asyncio.sleep(0.5 / _RATE)  # so that the two do not fall together
        group.create_task(keep_pace(look, rate=_RATE, stop=stop, replies=looks))
        await asyncio.sleep(seconds)
        stop.set()
    refused = {reply.status for reply in submits} - {202} | {reply.status for reply in looks} - {
        200
    }
    if refused:
        raise SystemExit(f"not all was answered well: {refused}")
    return {"submit": submits, "status": looks}


def _summed_up(told: dict[str, list[Reply]]) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for name, replies in sorted(told.items()):
        took = [reply.took * 1000 for reply in replies]
        shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
        figures[name] = {"n": len(took)} | {
            share: round(quantile(took, value), 2) for share, value in shares.items()
        }
    for what in ("submit", "status"):
        for share in ("p50", "p99"):
            ratio = figures[f"load_{what}"][share] / figures[f"rest_{what}"][share]
            figures[f"{what}_{share}_ratio"] = round(ratio, 2)
    return figures


def main() -> None:
    """Measure on servers of its own; the first argument is the seconds of a round."""
    seconds = float(sys.argv[1]) if sys.argv[1:] else 5.0
    with TemporaryDirectory() as folder, open_stack(Path(folder) / "stack", tcp=True) as stack:
        figures = asyncio.run(measure_latency(stack, Path(folder), seconds=seconds))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
