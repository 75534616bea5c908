"""Faults of the broker that take long: it is away, comes back again and again, or takes nothing."""

import asyncio
import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from time import monotonic
from typing import Final

from tests.campaign.fault import Fault
from tests.campaign.scene import Scene, Stage
from tests.support import broker_faults
from tests.support.broker_faults import Alarm
from tests.support.waiting import until

_RESTARTS: Final = int(os.environ.get("UKETSUKE_TEST_RESTARTS", "30"))
_OUTAGE: Final = float(os.environ.get("UKETSUKE_TEST_OUTAGE", "120"))  # seconds
_CAP: Final = 150  # rows of the outbox, where the broker takes nothing
_DELIVERED: Final = """
SELECT min(e.at) FROM job_events e JOIN jobs j ON j.id = e.job_id
 WHERE e.kind = 'running' AND j.key IS NULL AND j.created_at > $1 AND e.at > $1
"""


async def kill_the_broker_often(scene: Scene, _seconds: float) -> None:
    """F9: killed and started, again and again; each time the first delivery is waited for."""
    broker = scene.house.stack.broker
    await asyncio.to_thread(broker.settle)
    for _ in range(_RESTARTS):
        await asyncio.to_thread(broker.kill)
        killed = datetime.now(UTC)
        await asyncio.to_thread(broker.start)
        await _first_delivery(scene, killed, time.time())
        scene.bite("restarts")


async def _first_delivery(scene: Scene, killed: datetime, back: float) -> None:
    """Wait until a job runs that only a knock through the new broker can have started."""

    async def delivered() -> datetime | None:
        [[at]] = await scene.house.fetch(_DELIVERED, killed)
        return at if at is None else datetime.fromtimestamp(at.timestamp(), UTC)

    at = await until(delivered, within=30, what="the broker delivers again")
    assert at is not None
    scene.note_most("broker_back_to_delivery_s", max(0.0, at.timestamp() - back))


async def do_without_the_broker(scene: Scene, _seconds: float) -> None:
    """F9: it is away for minutes, and no caller is any the worse for it."""
    broker, history = scene.house.stack.broker, scene.crowd.history
    await asyncio.to_thread(broker.settle)
    await asyncio.to_thread(broker.kill)
    killed = datetime.now(UTC)
    begun, unanswered = len(history.submits), len(history.broken_off)
    await asyncio.sleep(_OUTAGE)  # the fault itself
    statuses = [status for _, status in history.submits[begun:]]
    failed = len(history.broken_off) - unanswered
    scene.bite("submits meanwhile", len(statuses))
    taken = statuses.count(202)
    scene.figures["outage_s"] = _OUTAGE
    scene.figures["not_202_in_the_outage"] = len(statuses) - taken + failed
    waiting = await scene.house.fetchval("SELECT count(*) FROM outbox")
    scene.bite("knocks waited", int(str(waiting)))
    await asyncio.to_thread(broker.start)
    await _first_delivery(scene, killed, time.time())


async def alarm_up_to_the_cap(scene: Scene, _seconds: float) -> None:
    """F8: submits are taken until the outbox is full, then refused, then taken again."""
    history = scene.crowd.history
    for alarm in Alarm:
        refused, taken = len(history.refused()), len(history.took)
        async with broker_faults.alarmed(scene.house.stack.broker, alarm):
            scene.bite("alarms")
            await until(partial(_grew, scene, refused + 20), within=60, what="the cap is met")
            scene.bite("taken before the cap", len(history.took) - taken)
            scene.bite("refused at the cap", len(history.refused()) - refused)
        cleared = monotonic()
        await until(partial(_is_well, scene, cleared), within=60, what="submits are taken again")
        scene.note_most("alarm_over_to_202_s", monotonic() - cleared)


async def _grew(scene: Scene, refusals: int) -> bool:
    return len(scene.crowd.history.refused()) >= refusals


async def _is_well(scene: Scene, since: float) -> bool:
    newest = scene.crowd.history.submits[-20:]
    return all(status == 202 and at > since for at, status in newest)


FAULTS: Final[Sequence[Fault]] = (
    Fault(
        number="F9",
        name="broker-killed-often",
        harm=kill_the_broker_often,
        bites={"restarts": _RESTARTS},
        limits={"broker_back_to_delivery_s": 5.0},
        is_long=True,
        # room for all that waited: a delivery is looked for, and not the end of a line
        stage=Stage(every=0.04, slow=0.3, slots=48, keys=400),
        recovers_within=180.0,
    ),
    Fault(
        number="F9",
        name="broker-away",
        harm=do_without_the_broker,
        bites={"submits meanwhile": 1000, "knocks waited": 100},
        limits={"not_202_in_the_outage": 0},
        is_long=True,
        stage=Stage(slow=0.3, slots=24, keys=400),  # much will have waited: no key for long
        recovers_within=400.0,
    ),
    Fault(
        number="F8",
        name="alarm-to-the-cap",
        harm=alarm_up_to_the_cap,
        bites={"alarms": 2, "taken before the cap": 100, "refused at the cap": 40},
        limits={"alarm_over_to_202_s": 15.0},
        stage=Stage(front={"max_outbox": _CAP}),
    ),
)
