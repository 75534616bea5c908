"""The schema grows while the version before goes on working."""

import asyncio
import signal
import sys
from pathlib import Path
from shutil import copy

import asyncpg
import pytest

from shared.store.migrate import FOLDER, migrate, missing
from tests.support.callers import Caller, Reply, keep_pace, open_session, told
from tests.support.endings import all_have_ended
from tests.support.house import House
from tests.support.waiting import until

pytestmark = [pytest.mark.acceptance, pytest.mark.servers, pytest.mark.timeout(120)]

_RATE = 30.0  # submits a second
_EXPAND = "ALTER TABLE jobs ADD COLUMN region text"
_INDEX = """-- migrate:no-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS jobs_regions ON jobs (region) WHERE region IS NOT NULL
"""
_VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('jobs_regions')"


def a_newer_folder(path: Path) -> Path:
    """Make the migrations of a version that does not exist yet."""
    path.mkdir()
    for file in FOLDER.glob("*.sql"):
        copy(file, path)
    (path / "9001_expand.sql").write_text(_EXPAND, encoding="utf-8")
    (path / "9002_index.sql").write_text(_INDEX, encoding="utf-8")
    return path


async def test_f28_the_schema_grows_under_load(house: House, tmp_path: Path) -> None:
    """Nobody is refused and no job is harmed, though somebody holds the table; two may migrate."""
    folder = a_newer_folder(tmp_path / "newer")
    house.extra |= {"UKETSUKE_JOB_TYPES": "tests.support.probes"}
    house.extra |= {"UKETSUKE_HANDLERS": "tests.support.probes"}
    front, back = await house.front(), await house.back()
    stop, replies = asyncio.Event(), list[Reply]()
    holder = await asyncpg.connect(house.database_url)
    try:
        async with open_session() as session, asyncio.TaskGroup() as group:
            caller = Caller(session, house.url(front))

            async def submit(number: int, due: float) -> Reply:
                return await caller.submit("/api/probes/step", {"number": number}, due=due)

            group.create_task(keep_pace(submit, rate=_RATE, stop=stop, replies=replies))
            await enough(replies, 30)
            async with holder.transaction():
                await holder.execute("SELECT count(*) FROM jobs")  # a report that takes its time
                migrating = [
                    asyncio.create_task(migrate(house.database_url, folder)) for _ in range(2)
                ]
                await enough(replies, len(replies) + 90)
                assert not any(task.done() for task in migrating)
            done = await asyncio.gather(*migrating)
            await enough(replies, len(replies) + 30)
            stop.set()
    finally:
        await holder.close()
    await all_have_ended(house)

    jobs = await house.fetch("SELECT state, attempt FROM jobs")
    print(f"\n  submits while the schema grew: {told(replies)}")
    assert {reply.status for reply in replies} == {202}
    assert {(job["state"], job["attempt"]) for job in jobs} == {("completed", 1)}
    assert len(jobs) == len(replies)
    assert sorted(done) == [[], ["9001_expand", "9002_index"]]
    assert (front.exit_code, back.exit_code) == (None, None)


async def test_a_migrator_that_is_killed_is_followed_by_another(
    house: House, tmp_path: Path
) -> None:
    """Whatever it left half done, the next one brings to its end."""
    folder = a_newer_folder(tmp_path / "newer")
    holder = await asyncpg.connect(house.database_url)
    try:
        async with holder.transaction(isolation="repeatable_read"):  # the index waits for it
            await holder.execute("SELECT count(*) FROM migrations")
            killed = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", _MIGRATE, house.database_url, str(folder))
            )

            async def is_half_done() -> bool:
                return await house.fetchval(_VALID) is False

            await until(is_half_done, within=30, what="the index is begun")
            killed.send_signal(signal.SIGKILL)
            await killed.wait()
            ends = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE $1"
            await house.fetch(ends, "%CONCURRENTLY%jobs_regions%")
    finally:
        await holder.close()
    assert await house.fetchval(_VALID) is False
    assert await missing(house.database_url, folder) == ["9002_index"]

    assert await migrate(house.database_url, folder) == ["9002_index"]

    assert await house.fetchval(_VALID) is True


_MIGRATE = """
import asyncio, pathlib, sys
from shared.store.migrate import migrate
asyncio.run(migrate(sys.argv[1], pathlib.Path(sys.argv[2])))
"""


async def enough(replies: list[Reply], count: int) -> None:
    async def are_there() -> bool:
        return len(replies) >= count

    await until(are_there, within=30, what=f"{count} replies")
