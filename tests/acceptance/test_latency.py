"""Work that computes does not slow down whoever takes requests in.

The ratio itself is measured by ``benchmarks/latency.py``; here is what brings it about.
"""

import asyncio
import os
from pathlib import Path
from time import monotonic

import pytest

from deploy.local.processes import family
from tests.support.callers import Caller, open_session, quantile
from tests.support.house import House
from tests.support.waiting import until

pytestmark = [pytest.mark.acceptance, pytest.mark.servers, pytest.mark.timed]

_SLOTS = 4  # on two cores, most often
_NICENESS = 12
_CALLS = 200
_LAG = 0.05  # seconds


@pytest.fixture
def burning_house(house: House) -> House:
    house.extra |= {"UKETSUKE_JOB_TYPES": "tests.support.probes"}
    house.extra |= {"UKETSUKE_HANDLERS": "tests.support.probes"}
    return house


async def test_children_yield_and_the_front_answers_at_once(burning_house: House) -> None:
    """Every slot computes: still the front's event loop has the processor when it needs it."""
    house = burning_house
    front = await house.front()
    back = await house.back(concurrency=_SLOTS + 1, child_niceness=_NICENESS)
    async with open_session() as session:
        caller = Caller(session, house.url(front))
        at_rest = await lags(caller)
        for _ in range(_SLOTS):
            ticket = await caller.submit("/api/probes/burn", {"seconds": 120})
            assert ticket.status == 202
        children = await until(
            lambda: children_of(back.pid, _SLOTS), within=20, what="every slot computes"
        )
        under_load = await lags(caller)

    before, after = quantile(at_rest, 0.99), quantile(under_load, 0.99)
    print(f"\np99 of /livez: {before * 1000:.1f} ms at rest, {after * 1000:.1f} ms under load")
    for child in children:
        assert os.getpriority(os.PRIO_PROCESS, child) == _NICENESS
        assert weight_of_session(child) in (_NICENESS, None)
        assert os.getsid(child) not in (os.getsid(back.pid), os.getsid(front.pid))
    assert os.getpriority(os.PRIO_PROCESS, back.pid) == os.getpriority(os.PRIO_PROCESS, 0)
    assert after <= max(_LAG, 2 * before), "or the machine itself is that busy"


async def lags(caller: Caller) -> list[float]:
    """Ask what costs nothing, 100 times a second, each when it is due."""
    begun, replies = monotonic(), []
    async with asyncio.TaskGroup() as group:
        for number in range(_CALLS):
            due = begun + number / 100
            await asyncio.sleep(max(0.0, due - monotonic()))
            replies.append(group.create_task(caller.get("/livez", due=due)))
    assert {reply.result().status for reply in replies} == {200}
    return [reply.result().took for reply in replies]


async def children_of(service: int, count: int) -> list[int]:
    """Find the processes that compute: below the one which the service forks them from."""
    found = [child for nursery in family(service)[1:] for child in family(nursery)[1:]]
    return found if len(found) == count else []


def weight_of_session(pid: int) -> int | None:
    """Read the nice value of a session, where the kernel has such a thing."""
    file = Path(f"/proc/{pid}/autogroup")
    enabled = Path("/proc/sys/kernel/sched_autogroup_enabled")
    if not file.exists() or not enabled.exists() or enabled.read_text().strip() == "0":
        return None
    text = file.read_text(encoding="ascii").strip()
    return int(text.rpartition(" ")[2]) if text else None
