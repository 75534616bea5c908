"""Hours of random faults under load: nothing is lost, and nothing grows that should not."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from time import monotonic
from typing import Final

import aiohttp
import asyncpg
import pytest

from deploy.local.stack import open_stack
from tests.campaign import faults, results
from tests.campaign.checker import UNJUDGED, judge
from tests.campaign.crowd import Crowd
from tests.campaign.drills import Kind
from tests.campaign.fault import Harm
from tests.campaign.scene import Scene, Stage, open_scene
from tests.campaign.vitals import Pulse, Table, growth, pulse, tables
from tests.support.house import House, free_port, open_house
from tests.support.waiting import until

_SECONDS = float(os.environ.get("UKETSUKE_TEST_SOAK", "7200"))
_SEED = int(os.environ.get("UKETSUKE_TEST_SEEDS", "1").split(",")[0])
pytestmark = [
    pytest.mark.faults,
    pytest.mark.soak,
    pytest.mark.servers,
    pytest.mark.timeout(_SECONDS + 600),
]

_HARMS: Final[Mapping[str, Harm]] = {
    "backs killed": faults.kill_backs,
    "backs drained": faults.drain_backs,
    "backs paused": faults.pause_backs,
    "fronts killed": faults.kill_fronts,
    "fronts rolled": faults.roll_fronts,
    "broker alarm": faults.alarm_the_broker,
    "broker lost": faults.lose_the_broker,
    "knocks lost": faults.purge_the_broker,
    "database killed": faults.kill_the_database,
    "database restarted": faults.restart_the_database,
    "knocks forged": faults.forge_knocks,
}
_EVERY = float(os.environ.get("UKETSUKE_TEST_SOAK_EVERY", "30"))  # seconds between faults
_LASTS = 4.0  # seconds of a fault
_SAMPLES = max(6, round(_SECONDS / 60))
_SUBMITTERS, _PAUSE = 6, 0.25  # seconds between two submits of one client: load that is borne
_TTL = 60  # seconds that a result lasts which nobody asks for
_SHORT_LIVED: Final = "SELECT count(*) FROM jobs WHERE result_ttl = make_interval(secs => $1)"
_MOST_RSS, _MOST_DESCRIPTORS, _MOST_TASKS = 24.0, 20, 30  # more in the last third than before it
_MOST_MB = 64.0  # of tables that are written all the time, and must stay as small as they are
_MOST_DEAD = 0.5  # of the rows of a table of some size
_SOME_SIZE = 20_000  # rows: a smaller one is hardly ever vacuumed before it is mostly dead


@pytest.fixture
async def arena(tmp_path: Path) -> AsyncIterator[House]:
    with open_stack(tmp_path / "stack", tcp=True) as stack:
        async with open_house(stack, tmp_path) as house:
            yield house


class Watch:
    """The samples of a soak: of two services that no fault strikes, and of all tables."""

    def __init__(self) -> None:
        self.pulses: dict[str, list[Pulse]] = {"front": [], "back": []}
        self.tables: list[Mapping[str, Table]] = []

    def growths(self) -> dict[str, float]:
        """Say what grew by how much."""
        return {
            f"{name}_{what}_growth": growth([getattr(one, what) for one in pulses])
            for name, pulses in self.pulses.items()
            for what in ("rss_mb", "descriptors", "tasks")
        }

    def most_dead(self) -> float:
        """Say which share of its rows was dead, in the table and at the moment of the most."""
        shares = [
            table.dead / (table.live + table.dead)
            for moment in self.tables
            for table in moment.values()
            if table.live + table.dead >= _SOME_SIZE
        ]
        return round(max(shares, default=0.0), 2)

    def most_mb(self, table: str) -> float:
        return max(moment[table].size_mb for moment in self.tables)


async def test_hours_of_faults_leave_everything_flat(arena: House) -> None:
    """A random fault again and again; the two services that are spared must not swell."""
    watch = Watch()
    crowd = Crowd([], seed=f"soak-{_SEED}", keys=50, slow=1.0)
    try:
        async with open_scene(arena, crowd, seed=_SEED, stage=Stage()) as scene:
            await _soak(scene, watch)
            rest = await scene.come_to_rest(within=120)
            await crowd.finish_reading(within=30)
            ruling = await judge(arena, crowd.history)
    finally:
        await crowd.close()

    figures = watch.growths() | {
        "soak_s": round(_SECONDS),
        "rest_s": round(rest, 1),
        "outbox_mb": watch.most_mb("outbox"),
        "key_heads_mb": watch.most_mb("key_heads"),
        "dead_rows_share": watch.most_dead(),
        "samples": len(watch.tables),
        "front_rss_mb": watch.pulses["front"][-1].rss_mb,
        "back_rss_mb": watch.pulses["back"][-1].rss_mb,
    }
    results.keep(
        "soak",
        seed=_SEED,
        bites=scene.bites,
        counts=ruling.counts,
        figures=figures,
        again=f"UKETSUKE_TEST_SEEDS={_SEED} UKETSUKE_TEST_SOAK={_SECONDS:g} make soak",
    )
    assert ruling.violations == []
    assert scene.bites["faults without a bite"] <= scene.bites["faults"] / 4, "vacuous"
    assert scene.bites["faults"] >= _SECONDS / (2 * _EVERY + 30)
    for name in watch.pulses:
        assert figures[f"{name}_rss_mb_growth"] <= _MOST_RSS
        assert figures[f"{name}_descriptors_growth"] <= _MOST_DESCRIPTORS
        assert figures[f"{name}_tasks_growth"] <= _MOST_TASKS
    assert max(figures["outbox_mb"], figures["key_heads_mb"]) <= _MOST_MB
    assert figures["dead_rows_share"] <= _MOST_DEAD


async def _soak(scene: Scene, watch: Watch) -> None:
    """Load, faults and samples, all at the same time and for as long as it was asked for."""
    stop, ends = asyncio.Event(), monotonic() + _SECONDS
    async with asyncio.TaskGroup() as group:
        group.create_task(_sample(scene, watch, ends))
        for number in range(_SUBMITTERS):
            group.create_task(scene.crowd.submit(number, stop, every=_PAUSE))
        forgotten = group.create_task(_submit_what_is_forgotten(scene, stop))
        while monotonic() < ends:
            await asyncio.sleep(_EVERY * scene.dice.uniform(0.5, 1.5))  # load without a fault
            await _strike(scene)
        stop.set()
        await forgotten
    await _all_are_forgotten(scene)


async def _strike(scene: Scene) -> None:
    name = scene.dice.choice(list(_HARMS))
    print(f"  {name}", flush=True)
    begun = scene.bites.copy()
    await _HARMS[name](scene, _LASTS)
    scene.bite("faults without a bite", int(scene.bites == begun))
    scene.bite("faults")
    scene.bite(f"faults: {name}")


async def _sample(scene: Scene, watch: Watch, ends: float) -> None:
    """Start two services that no fault strikes, and look at them and at the tables in between."""
    with free_port() as of_front, free_port() as of_back:
        pass
    house = scene.house
    front = await house.front(probe_port=of_front)  # where no crowd of clients is in the way
    back = await house.back(lease=scene.lease, probe_port=of_back)
    addresses = {
        "front": (front.pid, f"http://127.0.0.1:{of_front}"),
        "back": (back.pid, f"http://127.0.0.1:{of_back}"),
    }
    scene.crowd.fronts.append(house.url(front))
    while monotonic() < ends:
        await asyncio.sleep(_SECONDS / _SAMPLES)  # the distance of two samples
        for name, (pid, probes) in addresses.items():
            watch.pulses[name].append(await pulse(pid, probes))
        try:
            watch.tables.append(await tables(house))
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            continue  # the database is just being harmed: the next sample will see it
        newest = {name: pulses[-1] for name, pulses in watch.pulses.items()}
        print(f"  {round(ends - monotonic())} s left: {newest} {watch.tables[-1]}", flush=True)


async def _submit_what_is_forgotten(scene: Scene, stop: asyncio.Event) -> None:
    """Submit jobs whose results are soon cleaned up, so that tables are written and emptied."""
    number = UNJUDGED
    while not stop.is_set():
        number += 1
        body = {"number": number, "kind": Kind.QUICK, "job": {"resultTtlSeconds": _TTL}}
        try:
            await scene.crowd.call("POST", "/api/drill/work", json=body)
        except (aiohttp.ClientError, TimeoutError):  # its front may just be dying
            scene.bite("unanswered")
        await asyncio.sleep(_PAUSE / 2)  # load


async def _all_are_forgotten(scene: Scene) -> None:
    """Wait until the sweeper has been through: what it leaves, the checker would not know."""

    async def none_is_left() -> bool:
        return await scene.house.fetchval(_SHORT_LIVED, float(_TTL)) == 0

    await until(none_is_left, within=_TTL + 120, what="short-lived jobs are gone", every=2)
