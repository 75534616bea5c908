"""One job through every part, on the real servers and in real processes."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from tests.support.house import House
from tests.support.waiting import until

pytestmark = [pytest.mark.acceptance, pytest.mark.servers]


async def completed(session: aiohttp.ClientSession, url: str) -> dict[str, object]:
    """Poll a status until it has an ending."""

    async def has_ended() -> dict[str, object] | None:
        async with session.get(url) as answer:
            document: dict[str, object] = await answer.json()
        return document if document["status"] not in ("pending", "processing") else None

    found = await until(has_ended, within=20, what=f"{url} has an ending")
    assert found is not None
    return found


async def test_a_job_goes_all_the_way_and_its_track_id_tells_the_story(house: House) -> None:
    """Submit, queue, work, watch, fetch; and both services' logs join on one TrackID."""
    front, back = await house.front(), await house.back()
    base, track = house.url(front), {"X-Track-ID": "the-whole-story"}
    async with aiohttp.ClientSession(base, headers=track) as session:
        async with session.post("/api/demo/echo", json={"payload": {"n": 1}}) as answer:
            assert answer.status == 202
            assert answer.headers["X-Track-ID"] == "the-whole-story"
            ticket = await answer.json()

        status = await completed(session, ticket["statusUrl"])
        async with session.get(ticket["resultUrl"]) as answer:
            result = await answer.json()

    assert status["status"] == "completed"
    assert status["results"] == result["results"] == {"n": 1}
    assert status["trackId"] == "the-whole-story"
    row = await house.fetch("SELECT track_id FROM jobs WHERE id = $1", ticket["jobId"])
    assert row[0]["track_id"] == "the-whole-story"
    told = [
        (line["service"], line["event"])
        for worker in (front, back)
        for line in map(json.loads, worker.logged.splitlines())
        if line.get("track_id") == "the-whole-story"
    ]
    assert told[:3] == [
        ("front", "job accepted"),
        ("back", "job started"),
        ("back", "job attempt ended"),
    ]


async def test_a_front_learns_from_the_workers_how_long_a_job_may_take(house: House) -> None:
    """What one took, the next is expected to take, until the worker leaves."""
    front, back = await house.front(), await house.back()
    async with aiohttp.ClientSession(house.url(front)) as session:

        async def estimate(seconds: float) -> str | None:
            async with session.post("/api/demo/sleep", json={"seconds": seconds}) as answer:
                ticket = await answer.json()
            async with session.get(ticket["statusUrl"]) as answer:
                told: str | None = (await answer.json()).get("estimatedCompletion")
            return told

        async with session.post("/api/demo/sleep", json={"seconds": 1.5}) as answer:
            await completed(session, (await answer.json())["statusUrl"])
        await until(lambda: estimate(0.1), within=20, what="the front has heard of it")
        assert await back.terminate() == 0
        assert await estimate(0.1) is None


async def test_a_watcher_on_another_front_sees_every_event_once(house: House) -> None:
    """Replicas share one history: who watches need not know where the job was submitted."""
    here, there = await house.front(), await house.front()
    await house.back()
    async with aiohttp.ClientSession() as session:
        asked = {"seconds": 1.2, "steps": 4}
        async with session.post(f"{house.url(here)}/api/demo/sleep", json=asked) as answer:
            job_id = (await answer.json())["jobId"]
        frames: list[dict[str, Any]] = []
        async with session.ws_connect(f"{house.url(there)}/jobs/{job_id}") as socket:
            async with asyncio.timeout(20):
                frames += [json.loads(message.data) async for message in socket]
            assert socket.close_code == 1000

    sequences = [frame["sequence"] for frame in frames]
    assert sequences == sorted(sequences)
    assert frames[-1]["status"] == "completed"
    assert frames[-1]["results"] == {"slept": 1.2, "steps": 4}
    progress = [frame["progress"] for frame in frames if frame["state"] == "running"]
    assert progress == sorted(progress)
    assert len(set(progress)) >= 3


async def test_a_cancelled_job_stops_within_a_second(house: House) -> None:
    """Cancel reaches a handler that runs, and frees its slot."""
    front = await house.front()
    await house.back()
    async with aiohttp.ClientSession(house.url(front)) as session:
        async with session.post("/api/demo/sleep", json={"seconds": 60}) as answer:
            ticket = await answer.json()

        async def runs() -> bool:
            async with session.get(ticket["statusUrl"]) as answer:
                return bool((await answer.json())["state"] == "running")

        await until(runs, within=10, what="the job runs")
        async with session.post(ticket["_links"]["cancel"]) as answer:
            assert answer.status == 202
            assert (await answer.json())["state"] == "cancelling"
        async with asyncio.timeout(2):
            status = await completed(session, ticket["statusUrl"])
        async with session.post(ticket["_links"]["cancel"]) as answer:
            assert answer.status == 200  # repeating is harmless

    assert status["status"] == "cancelled"


async def test_a_drain_gives_the_attempt_back(house: House) -> None:
    """A rolling update costs a job nothing: it runs again elsewhere, as its first attempt."""
    front, leaving = await house.front(), await house.back(drain=1)
    async with aiohttp.ClientSession(house.url(front)) as session:
        async with session.post("/api/demo/sleep", json={"seconds": 300}) as answer:
            ticket = await answer.json()

        async def runs_as(sequence: int) -> bool:
            async with session.get(ticket["statusUrl"]) as answer:
                document = await answer.json()
            return (document["state"], document["sequence"]) == ("running", sequence)

        await until(lambda: runs_as(2), within=10, what="the job runs")
        await house.back()
        assert await leaving.terminate() == 0
        await until(lambda: runs_as(4), within=10, what="the job runs elsewhere")
        async with session.get(ticket["statusUrl"]) as answer:
            status = await answer.json()

    assert status["attempt"] == 1
    events = await house.fetch(
        "SELECT kind FROM job_events WHERE job_id = $1 ORDER BY sequence", ticket["jobId"]
    )
    assert [e["kind"] for e in events] == ["accepted", "running", "queued", "running"]
