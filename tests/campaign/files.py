"""Faults of the disk that files lie on, and of those who sweep it."""

import asyncio
import time
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Final
from uuid import UUID

import aiohttp
import orjson

from tests.campaign.checker import UNJUDGED
from tests.campaign.drills import KEPT, Kind
from tests.campaign.fault import Fault
from tests.campaign.scene import Scene, Stage
from tests.support.small_disk import open_small_disk
from tests.support.waiting import until

_BLOBS: Final = "SELECT id::text, size_bytes FROM blobs"
_AGED: Final = "UPDATE blobs SET created_at = created_at - interval '2 days'"
_WAVES, _SHORT_LIVED = 4, 20  # jobs of a wave whose results last for seconds
_TTL: Final = 2  # seconds
_LARGE: Final = 24 << 20  # bytes of the file that is read slowly


async def break_the_disk_of_files(scene: Scene, seconds: float) -> None:
    """F17: full, then read only; who would store a file tries again, and none is half there."""
    folder = scene.house.folder / "blobs"
    folder.rename(folder.with_name("blobs-before"))
    with open_small_disk(folder, megabytes=64) as disk:
        await _replace_all(scene)  # they open the folder when they start
        stop = asyncio.Event()
        keeping = asyncio.create_task(
            scene.crowd.keep_asking(Kind.KEEP, stop, every=0.1), name="files are kept"
        )
        await asyncio.sleep(1.0)  # load without a fault
        disk.fill()
        scene.bite("disk full", int(disk.is_full()))
        await _spend_refused(scene, seconds / 2, "uploads refused when full")
        disk.relieve()
        await asyncio.sleep(1.0)  # load without a fault
        await asyncio.to_thread(disk.refuse_writes)
        await _spend_refused(scene, seconds / 2, "uploads refused when broken")
        disk.take_writes()
        recovered = time.time()
        await _uploads_again(scene)
        scene.figures["disk_back_to_upload_s"] = round(time.time() - recovered, 2)
        stop.set()
        await scene.have_ended(await keeping, within=60)
        await _look_for_dangling(scene)


async def _replace_all(scene: Scene) -> None:
    fronts, backs = list(scene.fronts), list(scene.backs)
    for front in fronts:
        await scene.add_front()
        await scene.remove_front(front)
    for back in backs:
        await scene.add_back()
        scene.backs.remove(back)
        scene.gone.append(back)
        await back.terminate()


async def _upload(scene: Scene, data: bytes) -> tuple[int, str]:
    status, body = await scene.crowd.call("POST", "/api/blobs", data=BytesIO(data))
    return status, orjson.loads(body)["blobId"] if status == 201 else ""


async def _spend_refused(scene: Scene, seconds: float, bite: str) -> None:
    end = time.time() + seconds
    while time.time() < end:
        status, _ = await _upload(scene, bytes(1000))
        assert status == 503, status
        scene.bite(bite)
        await asyncio.sleep(0.2)  # the fault itself


async def _uploads_again(scene: Scene) -> None:
    async def is_taken() -> bool:
        return (await _upload(scene, bytes(1000)))[0] == 201

    await until(is_taken, within=20, what="uploads are taken again")


async def _look_for_dangling(scene: Scene) -> None:
    """Read every file that a row promises."""
    dangling = 0
    rows = await scene.house.fetch(_BLOBS)
    for row in rows:
        status, body = await scene.crowd.call("GET", f"/api/blobs/{row['id']}")
        dangling += (status, len(body)) != (200, row["size_bytes"])
    scene.bite("files kept", sum(row["size_bytes"] == KEPT for row in rows))
    scene.figures["files_dangling"] = dangling


async def sweep_while_killed(scene: Scene, _seconds: float) -> None:
    """F31: four sweepers at once, killed in turn; a slow reader is read to."""
    status, large = await _upload(scene, bytes(_LARGE))
    assert status == 201
    async with scene.crowd.download(f"/api/blobs/{large}") as slow, asyncio.TaskGroup() as group:
        assert slow.status == 200
        swept = asyncio.Event()
        reading = group.create_task(_read_slowly(slow.content, swept), name="slow reader")
        for wave in range(_WAVES):
            first = UNJUDGED + wave * _SHORT_LIVED
            job_ids = {await _short_lived(scene, first + place) for place in range(_SHORT_LIVED)}
            group.create_task(_watch_them_go(scene, job_ids), name="watch")
            await _some_are_gone(scene, wave * _SHORT_LIVED)
            scene.take_back().kill()
            scene.bite("sweepers killed")
            await scene.add_back()
        await _swept(scene)
        status, _ = await scene.crowd.call("GET", f"/api/blobs/{large}")
        is_gone = status in (404, 410) and not reading.done()
        scene.bite("file gone under its reader", int(is_gone))
        swept.set()
        scene.figures["slow_reader_missed"] = _LARGE - await reading
    files = {path.name for path in _files(scene.house.folder / "blobs")}
    rows = {row["id"] for row in await scene.house.fetch(_BLOBS)}
    scene.figures |= {"files_dangling": len(rows - files), "files_stray": len(files - rows)}


async def _read_slowly(content: aiohttp.StreamReader, swept: asyncio.Event) -> int:
    """Read some at a time until *swept*, then all the rest; say how much that was."""
    read = 0
    while piece := await content.read(1 << 16):
        read += len(piece)
        if not swept.is_set():
            await asyncio.sleep(0.25)  # so slow is this reader
    return read


async def _short_lived(scene: Scene, number: int) -> str:
    body = {"number": number, "kind": Kind.KEEP, "job": {"resultTtlSeconds": _TTL}}
    status, answer = await scene.crowd.call("POST", "/api/drill/work", json=body)
    assert status == 202, answer
    return str(orjson.loads(answer)["jobId"])


async def _watch_them_go(scene: Scene, job_ids: set[str]) -> None:
    """See each job there until it is gone: 200, then 410, and never 404 or 200 again."""
    left, mistakes = set(job_ids), 0
    while left:
        for job_id in sorted(left):
            status, _ = await scene.crowd.call("GET", f"/api/jobs/{job_id}")
            mistakes += status not in (200, 410)
            if status == 410:
                left.discard(job_id)
    for job_id in job_ids:
        status, _ = await scene.crowd.call("GET", f"/api/jobs/{job_id}")
        mistakes += status != 410
    scene.note_most("odd_statuses", mistakes)
    scene.bite("results gone", len(job_ids))


async def _some_are_gone(scene: Scene, before: int) -> None:
    """Wait until a sweeper is at it: of a wave the first are gone."""

    async def more_are_gone() -> bool:
        gone = await scene.house.fetchval("SELECT count(*) FROM tombstones")
        await scene.house.execute(_AGED)  # so that the files of those that went are nobody's
        return int(str(gone)) > before

    await until(more_are_gone, within=60, what="a sweeper is at it")


async def _swept(scene: Scene) -> None:
    async def no_row_is_left() -> bool:
        await scene.house.execute(_AGED)
        return not await scene.house.fetch(_BLOBS)

    await until(no_row_is_left, within=60, what="nobody's files are swept", every=0.5)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and _is_blob(path.name)]


def _is_blob(name: str) -> bool:
    try:
        UUID(name)
    except ValueError:
        return False
    return True


FAULTS: Final[Sequence[Fault]] = (
    Fault(
        number="F17",
        name="files-disk-broken",
        harm=break_the_disk_of_files,
        bites={
            "disk full": 1,
            "uploads refused when full": 5,
            "uploads refused when broken": 5,
            "files kept": 10,
        },
        marks={"retries": 10},
        limits={"files_dangling": 0, "disk_back_to_upload_s": 5.0},
    ),
    Fault(
        number="F31",
        name="sweepers-killed",
        harm=sweep_while_killed,
        bites={
            "sweepers killed": _WAVES,
            "results gone": _WAVES * _SHORT_LIVED,
            "file gone under its reader": 1,
        },
        limits={"files_dangling": 0, "odd_statuses": 0, "slow_reader_missed": 0},
        stage=Stage(backs=4),
    ),
)
