"""How jobs ended, as a watcher is told and as the store has it."""

import json
from typing import Any

import aiohttp

from tests.support.house import House
from tests.support.waiting import until


async def last_frame(base: str, job_id: str) -> dict[str, Any]:
    """Watch a job over a WebSocket until it is closed, and give the last frame."""
    url = f"{base}/jobs/{job_id}"
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
        frames = [json.loads(message.data) async for message in socket]
    return dict(frames[-1])


async def all_have_ended(house: House, *, within: float = 30.0) -> None:
    async def none_is_left() -> bool:
        return await house.fetchval("SELECT count(*) FROM jobs WHERE completed_at IS NULL") == 0

    await until(none_is_left, within=within, what="every job has an ending", every=0.2)
