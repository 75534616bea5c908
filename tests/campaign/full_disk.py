"""The disk of the database is full: writes are refused, reads go on, and it recovers by itself."""

import asyncio
from collections.abc import Sequence
from itertools import cycle
from time import monotonic
from typing import Final

from tests.campaign.fault import Fault
from tests.campaign.scene import Scene, Stage, first_answer
from tests.support.small_disk import SmallDisk
from tests.support.waiting import until

_REFUSALS: Final = 20
_READS: Final = 20


async def fill_the_disk_of_the_database(scene: Scene, seconds: float) -> None:
    """F16: not a byte is left; what had been accepted is still there to be read."""
    disk, history = SmallDisk(scene.house.stack.folder.parent), scene.crowd.history
    known = cycle([job_id for job_id, _ in history.accepted()][:_READS])
    before, statuses = len(history.refused()), list[int]()
    disk.fill()
    scene.bite("disk full", int(disk.is_full()))
    try:

        async def is_met() -> bool:
            disk.fill()  # what the server gave back meanwhile
            statuses.append((await scene.crowd.call("GET", f"/api/jobs/{next(known)}"))[0])
            return len(history.refused()) - before >= _REFUSALS

        await until(is_met, within=60, what="writes are refused")
        await asyncio.sleep(seconds / 2)  # the fault itself
    finally:
        disk.relieve()
    scene.bite("refused", len(history.refused()) - before)
    scene.bite("read all the same", statuses.count(200))
    scene.figures["odd_reads"] = sum(status not in (200, 503) for status in statuses)
    database = scene.house.stack.postgres
    scene.figures["server_fell"] = int(database.pid is None)
    if database.pid is None:  # in a crash recovery it gives up without room: it is started anew
        await asyncio.to_thread(database.stop)
        await asyncio.to_thread(database.start)
    await first_answer(scene, monotonic(), "disk_back_to_202_s")


FAULTS: Final[Sequence[Fault]] = (
    Fault(
        number="F16",
        name="database-disk-full",
        harm=fill_the_disk_of_the_database,
        bites={"disk full": 1, "refused": _REFUSALS, "read all the same": 1},
        limits={"odd_reads": 0, "disk_back_to_202_s": 10.0},
        disk_megabytes=400,
        stage=Stage(warm=8.0),
    ),
)
