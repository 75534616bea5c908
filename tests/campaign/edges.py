"""Faults of the lines to the broker, and cancels that meet nobody at all."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from time import monotonic
from typing import Final

from tests.campaign.drills import Kind
from tests.campaign.fault import Fault
from tests.campaign.history import Asked
from tests.campaign.scene import Scene
from tests.support.amqp_edge import AmqpEdges
from tests.support.callers import quantile
from tests.support.fault_proxy import Line, Manner, Proxy, Side, Unwatched, Watch, open_proxy
from tests.support.waiting import until

_EDGES: Final = ("front-knocks", "back-jobs", "front-ears")  # publish, consume, events
_WAYS: Final = (frozenset(Side), frozenset((Side.SERVER,)))  # both, then what the broker says
_NUMB: Final = Manner(latency=0.1, rate=10_000.0)
_CANCELLED: Final = 12  # jobs of each state


@asynccontextmanager
async def _by_way_of_a_proxy(
    scene: Scene, watch: Callable[[Line], Watch]
) -> AsyncIterator[tuple[Proxy, int]]:
    """Have every submit, and half of the work, depend on a line that the drill holds.

    Gives the proxy, and which of the backs is behind it.
    """
    async with open_proxy(scene.house.amqp_url, watch) as proxy:
        before = list(scene.fronts)
        front = await scene.add_front(amqp_url=proxy.url)
        back = await scene.add_back(amqp_url=proxy.url)
        for straight in before:
            await scene.remove_front(straight)
        try:
            yield proxy, back.pid
        finally:
            proxy.thaw()
            await asyncio.gather(*(scene.add_front() for _ in before))
            await scene.remove_front(front)
            scene.backs.remove(back)
            scene.gone.append(back)
            await back.terminate()


async def cut_each_edge(scene: Scene, seconds: float) -> None:
    """F6: one connection of a service after the other is a black hole, both ways, then one."""
    edges, history = AmqpEdges(), scene.crowd.history
    async with _by_way_of_a_proxy(scene, edges.watch):
        begun = len(history.submits)
        for name in _EDGES:
            for way in _WAYS:
                before = edges.swallowed
                edges.open_hole(name, way)
                await asyncio.sleep(seconds)  # the fault itself
                edges.close_hole()
                scene.bite("edges cut", int(edges.swallowed > before))
                opened = datetime.now(UTC)
                await _runs_again(scene, opened, monotonic())
        statuses = [status for _, status in history.submits[begun:]]
    scene.figures["not_202_while_cut"] = len(statuses) - statuses.count(202)


async def numb_the_broker(scene: Scene, seconds: float) -> None:
    """F7: it answers late, and takes ten kilobytes a second from each."""
    history = scene.crowd.history
    async with _by_way_of_a_proxy(scene, Unwatched) as (proxy, _):
        took, passed = len(history.took), proxy.up.passed
        proxy.up.manner = proxy.down.manner = _NUMB
        await asyncio.sleep(2 * seconds)  # the fault itself
        slow = history.took[took:]
        scene.bite("kilobytes passed slowly", (proxy.up.passed - passed) // 1000)
        proxy.up.manner = proxy.down.manner = Manner()
        waiting = await scene.house.fetchval("SELECT count(*) FROM outbox")
    scene.figures["outbox_while_slow"] = int(str(waiting))
    scene.figures["submit_p99_while_slow_s"] = round(quantile(slow, 0.99), 2)


async def cancel_with_nobody_there(scene: Scene, _seconds: float) -> None:
    """F30: no worker and no broker: a cancel is answered at once, and holds."""
    broker, crowd = scene.house.stack.broker, scene.crowd
    await asyncio.to_thread(broker.settle)
    running = [await crowd.ask(Kind.SLOW, seconds=30) for _ in range(_CANCELLED)]
    await until(lambda: _all_run(scene, running), within=30, what="they all run")
    await asyncio.to_thread(broker.kill)
    for back in scene.backs:
        back.kill()
    count = len(scene.backs)
    scene.gone += scene.backs
    scene.backs.clear()
    queued = [await crowd.ask(Kind.QUICK) for _ in range(_CANCELLED)]
    took = [await _cancelled(scene, one, expected=202) for one in running]
    took += [await _cancelled(scene, one, expected=200) for one in queued]
    scene.bite("cancelled with nobody there", len(took))
    scene.figures["cancel_p99_s"] = round(quantile(took, 0.99), 3)
    await asyncio.to_thread(broker.start)
    await asyncio.gather(*(scene.add_back() for _ in range(count)))
    returned = monotonic()
    await until(lambda: _all_are_cancelled(scene, running), within=30, what="cancels hold")
    scene.figures["back_to_cancelled_s"] = round(monotonic() - returned, 2)


async def _cancelled(scene: Scene, asked: Asked, *, expected: int) -> float:
    asked.is_cancelled = True
    [job_id] = asked.job_ids
    begun = monotonic()
    status, body = await scene.crowd.call("DELETE", f"/api/jobs/{job_id}")
    assert status == expected, body
    return monotonic() - begun


async def _states(scene: Scene, asked: Sequence[Asked]) -> list[str]:
    ids = [job_id for one in asked for job_id in one.job_ids]
    rows = await scene.house.fetch("SELECT state FROM jobs WHERE id = ANY($1::uuid[])", ids)
    return [row["state"] for row in rows]


async def _all_run(scene: Scene, asked: Sequence[Asked]) -> bool:
    return set(await _states(scene, asked)) == {"running"}


async def _all_are_cancelled(scene: Scene, asked: Sequence[Asked]) -> bool:
    return set(await _states(scene, asked)) == {"cancelled"}


async def _runs_again(scene: Scene, since: datetime, begun: float) -> None:
    """Wait until the worker behind the proxy, or the other, has begun what came since then."""

    async def begins() -> bool:
        found = await scene.house.fetchval(
            "SELECT count(*) FROM job_events e JOIN jobs j ON j.id = e.job_id"
            " WHERE e.kind = 'running' AND j.key IS NULL AND j.created_at > $1",
            since,
        )
        return bool(found)

    await until(begins, within=30, what="new jobs begin")
    scene.note_most("healed_to_first_run_s", monotonic() - begun)


FAULTS: Final[Sequence[Fault]] = (
    Fault(
        number="F6",
        name="edges-cut",
        harm=cut_each_edge,
        bites={"edges cut": 6},
        limits={"not_202_while_cut": 0, "healed_to_first_run_s": 5.0},
        is_long=True,
    ),
    Fault(
        number="F7",
        name="broker-slow",
        harm=numb_the_broker,
        bites={"kilobytes passed slowly": 20},
        limits={"submit_p99_while_slow_s": 2.0},
    ),
    Fault(
        number="F30",
        name="cancel-alone",
        harm=cancel_with_nobody_there,
        bites={"cancelled with nobody there": 2 * _CANCELLED},
        marks={"cancelled": 2 * _CANCELLED},
        limits={"cancel_p99_s": 0.5, "back_to_cancelled_s": 4.0},
    ),
)
