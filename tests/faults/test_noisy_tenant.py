"""One tenant floods; the other must hardly notice."""

import asyncio
from collections.abc import Sequence
from secrets import token_bytes
from time import monotonic
from typing import Final
from uuid import uuid4

import aiohttp
import pytest

from shared.contract.access import EVERYTHING, digest_of, tenant_id, write_key
from shared.store.ledgers import KeyLedger
from shared.store.pool import open_pool
from tests.support.callers import quantile
from tests.support.house import House
from tests.support.waiting import until

pytestmark = [pytest.mark.faults, pytest.mark.servers, pytest.mark.timeout(300)]

SLOTS: Final = 16
JOB: Final = {"seconds": 0.25, "steps": 1}
CALLS: Final = 200
PACE: Final = 8.0  # a second: two slots' worth
FLOOD: Final = 5_000  # jobs: more than a minute of all slots
MOST: Final = 1.5


async def a_key(house: House, tenant: str) -> dict[str, str]:
    shown = write_key(token_bytes(32))
    digest = digest_of(shown)
    assert digest is not None
    async with open_pool(house.database_url, size=1, name="test") as pool:
        await KeyLedger(pool).add(uuid4(), digest, tenant=tenant, name="app", scopes=EVERYTHING)
    return {"Authorization": f"Bearer {shown}"}


async def submit(session: aiohttp.ClientSession, url: str, key: dict[str, str]) -> str:
    async with session.post(f"{url}/api/demo/sleep", json=JOB, headers=key) as response:
        assert response.status == 202, await response.text()
        return str((await response.json())["jobId"])


async def paced(session: aiohttp.ClientSession, url: str, key: dict[str, str]) -> list[str]:
    """Submit at an even pace, each when its turn comes."""
    begun, tasks = monotonic(), []
    async with asyncio.TaskGroup() as group:
        for number in range(CALLS):
            await asyncio.sleep(max(0.0, begun + number / PACE - monotonic()))
            tasks.append(group.create_task(submit(session, url, key)))
    return [task.result() for task in tasks]


async def flood(session: aiohttp.ClientSession, url: str, key: dict[str, str]) -> None:
    async def some() -> None:
        for _ in range(FLOOD // 20):
            await submit(session, url, key)

    await asyncio.gather(*(some() for _ in range(20)))


async def took(house: House, job_ids: Sequence[str]) -> list[float]:
    """Wait until all are completed; say in how many seconds after its answer each was."""

    async def ended() -> list[float]:
        rows = await house.fetch(
            "SELECT extract(epoch FROM completed_at - created_at)::float8 AS took FROM jobs"
            " WHERE id = ANY($1::text[]::uuid[]) AND state = 'completed'",
            list(job_ids),
        )
        return [row["took"] for row in rows] if len(rows) == len(job_ids) else []

    return await until(ended, within=120, every=0.5, what="all are completed")


async def test_i16_noisy_tenant(house: House) -> None:
    """However much one submits, another's p99 from answer to result stays within 1.5 times."""
    front = await house.front(auth="required")
    await house.back(concurrency=SLOTS)
    url, small, crowd = house.url(front), await a_key(house, "small"), await a_key(house, "crowd")
    async with aiohttp.ClientSession() as session:
        await took(house, [await submit(session, url, small)])
        alone = await took(house, await paced(session, url, small))

        await flood(session, url, crowd)
        beside = await took(house, await paced(session, url, small))

    left = await house.fetchval(
        "SELECT count(*) FROM jobs WHERE tenant = $1 AND state = 'queued'", tenant_id("crowd")
    )
    before, after = quantile(alone, 0.99), quantile(beside, 0.99)
    print(
        f"\np99 from answer to result: {before * 1000:.0f} ms alone, {after * 1000:.0f} ms beside "
        f"{left} waiting jobs of another tenant: {after / before:.2f} times"
        f" (median {quantile(alone, 0.5) * 1000:.0f}, {quantile(beside, 0.5) * 1000:.0f} ms)"
    )
    assert isinstance(left, int)
    assert left > FLOOD // 4, "or there was no flood to speak of"
    assert after <= MOST * before
