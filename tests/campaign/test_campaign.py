"""The promise under fault: every accepted job ends exactly once, in order in its key."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from deploy.local.stack import Given, Stack, open_stack
from tests.campaign import results
from tests.campaign.checker import Ruling, judge
from tests.campaign.crowd import Crowd
from tests.campaign.fault import Fault
from tests.campaign.faults import FAULTS
from tests.campaign.scene import Scene, open_scene
from tests.support.callers import quantile
from tests.support.house import House, open_house
from tests.support.small_disk import open_small_disk

pytestmark = [pytest.mark.faults, pytest.mark.servers, pytest.mark.timeout(1200)]

_SUBMITTERS = 6


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Durable servers that a fault may strike, and must leave running."""
    with open_stack(tmp_path_factory.mktemp("mortal"), tcp=True) as stack:
        yield stack


@asynccontextmanager
async def open_arena(mortal: Stack, fault: Fault, folder: Path) -> AsyncIterator[House]:
    """Open a house on servers that may be struck; on a small disk, if the fault is of that kind."""
    if fault.disk_megabytes is None:
        async with open_house(mortal, folder) as house:
            yield house
        return
    with (
        open_small_disk(folder / "disk", megabytes=fault.disk_megabytes) as disk,
        open_stack(disk.folder / "stack", tcp=True, given=Given(amqp_url=mortal.amqp_url)) as stack,
    ):
        async with open_house(replace(stack, own_broker=mortal.own_broker), folder) as house:
            yield house


def drills() -> Iterator[Any]:
    """List each fault with each seed to be run; one, unless told otherwise."""
    seeds = [int(seed) for seed in os.environ.get("UKETSUKE_TEST_SEEDS", "1").split(",")]
    for fault in FAULTS:
        marks = [pytest.mark.quick] if fault.is_quick else []
        for seed in seeds[:1] if fault.is_long else seeds:
            yield pytest.param(fault, seed, marks=marks, id=f"{fault}-{seed}")


@pytest.mark.parametrize(("fault", "seed"), list(drills()))
async def test_the_promise_survives(mortal: Stack, tmp_path: Path, fault: Fault, seed: int) -> None:
    """Mixed load, one fault, and then every rule is held against every job."""
    seconds = float(os.environ.get("UKETSUKE_TEST_FAULT_SECONDS", "8"))
    crowd = Crowd([], seed=f"{fault}-{seed}", keys=fault.stage.keys, slow=fault.stage.slow)
    try:
        async with (
            open_arena(mortal, fault, tmp_path) as arena,
            open_scene(arena, crowd, seed=seed, stage=fault.stage) as scene,
        ):
            await _strike(scene, fault, seconds)
            rest = await scene.come_to_rest(within=fault.recovers_within)
            await crowd.finish_reading(within=20)
            if fault.look is not None:
                await fault.look(scene)
            ruling = await judge(arena, crowd.history)
            _keep(scene, fault, seed, ruling, rest)
    finally:
        await crowd.close()

    assert ruling.violations == []
    for what, times in fault.bites.items():
        assert scene.bites[what] >= times, f"vacuous: {what} {scene.bites}"
    for what, times in fault.marks.items():
        assert ruling.counts[what] >= times, f"vacuous: {what} {ruling.counts}"
    for what, most in fault.limits.items():
        assert scene.figures[what] <= most, f"{what}: {scene.figures}"
    assert ruling.counts["accepted"] > 200
    assert ruling.counts["keyed"] > 100


async def _strike(scene: Scene, fault: Fault, seconds: float) -> None:
    """Load before, during and after the fault."""
    stop = asyncio.Event()
    bulk = float(os.environ.get("UKETSUKE_TEST_BULK", "0"))  # plain submits a second, at most
    async with asyncio.TaskGroup() as group:
        for number in range(_SUBMITTERS):
            group.create_task(scene.crowd.submit(number, stop, every=scene.stage.every))
            if bulk:
                every = _SUBMITTERS / bulk
                group.create_task(scene.crowd.submit_plain(number, stop, every=every))
        await asyncio.sleep(scene.stage.warm)  # load without a fault
        begun = monotonic()
        await fault.harm(scene, seconds)
        scene.figures["fault_s"] = round(monotonic() - begun, 1)
        await asyncio.sleep(1.0)  # load after the fault
        stop.set()


def _keep(scene: Scene, fault: Fault, seed: int, ruling: Ruling, rest: float) -> None:
    took = scene.crowd.history.took
    scene.figures |= {
        "rest_s": round(rest, 1),
        "submit_p99_ms": round(1000 * quantile(took, 0.99)) if took else 0,
        "stale_writes_refused": scene.stale_writes_refused(),
    }
    results.keep(
        str(fault),
        seed=seed,
        bites=scene.bites,
        counts=ruling.counts,
        figures=scene.figures,
        again=f'UKETSUKE_TEST_SEEDS={seed} make faults ARGS="-k {fault}"',
    )
