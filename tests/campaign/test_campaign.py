"""The promise under fault: every accepted job ends exactly once, in order in its key."""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from deploy.local.stack import Stack, open_stack
from tests.campaign.checker import Ruling, judge
from tests.campaign.crowd import Crowd
from tests.campaign.faults import FAULTS, Fault
from tests.campaign.scene import Scene, open_scene
from tests.support.callers import quantile
from tests.support.house import House, open_house

pytestmark = [pytest.mark.faults, pytest.mark.servers, pytest.mark.timeout(300)]

_SUBMITTERS, _KEYS = 6, 50
_LEASE = 2.0  # seconds
_WARM = 3.0  # seconds of load before the fault
_EVERY = 0.02  # seconds between two submits of one client, on average
_SLOW = 1.0  # seconds of the longest job
_ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Durable servers that a fault may strike, and must leave running."""
    with open_stack(tmp_path_factory.mktemp("mortal"), tcp=True) as stack:
        yield stack


@pytest.fixture
async def arena(mortal: Stack, tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(mortal, tmp_path) as house:
        yield house


def seeds() -> list[int]:
    """Read which seeds to run; one, unless told otherwise."""
    return [int(seed) for seed in os.environ.get("UKETSUKE_TEST_SEEDS", "1").split(",")]


def _marked(fault: Fault) -> Any:
    marks = [pytest.mark.quick] if fault.is_quick else []
    return pytest.param(fault, marks=marks, id=str(fault))


@pytest.mark.parametrize("seed", seeds())
@pytest.mark.parametrize("fault", [_marked(fault) for fault in FAULTS])
async def test_the_promise_survives(arena: House, fault: Fault, seed: int) -> None:
    """Mixed load, one fault, and then every rule is held against every job."""
    seconds = float(os.environ.get("UKETSUKE_TEST_FAULT_SECONDS", "8"))
    crowd = Crowd([], seed=f"{fault}-{seed}", keys=_KEYS, slow=_SLOW)
    try:
        async with open_scene(arena, crowd, seed=seed, lease=_LEASE) as scene:
            await _strike(scene, fault, seconds)
            rest = await scene.come_to_rest(within=fault.recovers_within)
            await crowd.finish_reading(within=20)
            ruling = await judge(arena, crowd.history)
            report = _report(scene, fault, seed, ruling, rest)
    finally:
        await crowd.close()
    _tell(report)

    assert ruling.violations == []
    for what, times in fault.bites.items():
        assert scene.bites[what] >= times, f"vacuous: {what} {scene.bites}"
    for what, times in fault.marks.items():
        assert ruling.counts[what] >= times, f"vacuous: {what} {ruling.counts}"
    assert ruling.counts["accepted"] > 200
    assert ruling.counts["keyed"] > 100


async def _strike(scene: Scene, fault: Fault, seconds: float) -> None:
    """Load before, during and after the fault."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for number in range(_SUBMITTERS):
            group.create_task(scene.crowd.submit(number, stop, every=_EVERY))
        await asyncio.sleep(_WARM)  # load without a fault
        begun = monotonic()
        await fault.harm(scene, seconds)
        scene.figures["fault_s"] = round(monotonic() - begun, 1)
        await asyncio.sleep(1.0)  # load after the fault
        stop.set()


def _report(scene: Scene, fault: Fault, seed: int, ruling: Ruling, rest: float) -> dict[str, Any]:
    took = scene.crowd.history.took
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "fault": str(fault),
        "seed": seed,
        "bites": scene.bites,
        "counts": ruling.counts,
        "figures": scene.figures
        | {
            "rest_s": round(rest, 1),
            "submit_p99_ms": round(1000 * quantile(took, 0.99)) if took else 0,
            "stale_writes_refused": scene.stale_writes_refused(),
        },
        "again": f'UKETSUKE_TEST_SEEDS={seed} make faults ARGS="-k {fault}"',
    }


def _tell(report: dict[str, Any]) -> None:
    """Print what happened, and keep it as one line where the command says so."""
    line = json.dumps(report)
    print(f"\n{line}")
    if results := os.environ.get("UKETSUKE_TEST_RESULTS"):
        with Path(results).open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def _commit() -> str:
    said = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return said.stdout.strip() or "unknown"
