"""A batch as what a socket for many follows: all of its jobs, and the batch itself."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from shared.contract.ids import BatchId, JobId, parse_uuid
from shared.contract.states import State
from tests.front.desk import Desk, open_desk, until
from tests.front.memory import Loudspeaker, MemoryStore
from tests.front.test_batches import echo, end, hand_in
from tests.front.test_many import dial, hear, is_alive, say, step

Socket = aiohttp.ClientWebSocketResponse


async def a_batch(desk: Desk, size: int = 2) -> tuple[dict[str, Any], str, list[str]]:
    """Hand one in; give what was answered, its id and those of its jobs."""
    content = await hand_in(desk, *[echo(number) for number in range(size)])
    return content, content["batchId"], sorted(one["jobId"] for one in content["jobs"])


async def subscribe(socket: Socket, batch: str, **members: Any) -> Any:
    await say(socket, "subscribe", batch=batch, **members)
    return await hear(socket)


async def told(socket: Socket, count: int) -> tuple[list[Any], list[Any]]:
    """Hear so many frames; give those of jobs and those of batches."""
    frames = [await hear(socket) for _ in range(count)]
    return [one for one in frames if "event" not in one], [one for one in frames if "event" in one]


def job(text: str) -> JobId:
    found = parse_uuid(text)
    assert found is not None
    return JobId(found)


async def test_a_batch_stands_for_its_jobs_and_tells_its_own_ending(desk: Desk) -> None:
    """A snapshot of each, every event, and the batch's progress up to `batch.completed`."""
    content, batch, jobs = await a_batch(desk)
    async with dial(desk) as socket:
        answer = await subscribe(socket, batch, id="b")
        assert answer == {"event": "subscribed", "jobs": jobs, "batch": batch, "id": "b"}
        of_jobs, of_batch = await told(socket, 3)
        assert sorted(one["jobId"] for one in of_jobs) == jobs
        assert [(one["event"], one["batchId"]) for one in of_batch] == [("batch.progress", batch)]

        end(desk, content, 0, 1)
        for job_id in jobs:
            desk.tell(job(job_id))
        of_jobs, of_batch = await told(socket, 5)
        assert [one["status"] for one in of_jobs].count("completed") == 2
        assert (of_batch[-1]["event"], of_batch[-1]["progress"]) == ("batch.completed", 100)
        await until(lambda: len(desk.front.hub) == 0)
        assert await is_alive(desk, socket)


async def test_jobs_that_have_ended_are_told_once(desk: Desk) -> None:
    """They may have, before their caller could follow them; `after` is for those he has seen."""
    content, batch, jobs = await a_batch(desk)
    end(desk, content, 0)
    over = content["jobs"][0]["jobId"]
    [live] = [one for one in jobs if one != over]
    step(desk, job(live), State.RUNNING)
    async with dial(desk) as socket:
        assert (await subscribe(socket, batch, after={live: 1, "other": 7}))["jobs"] == jobs
        of_jobs, of_batch = await told(socket, 3)
    assert {one["jobId"]: one["sequence"] for one in of_jobs} == {over: 3, live: 2}
    assert of_batch[0]["progress"] == 50


async def test_a_batch_that_is_over_is_told_once(desk: Desk) -> None:
    """And takes no place afterwards."""
    content, batch, _ = await a_batch(desk, 1)
    end(desk, content, 0)
    async with dial(desk) as socket:
        for _ in range(12):
            assert (await subscribe(socket, batch))["event"] == "subscribed"
            _, of_batch = await told(socket, 2)
            assert of_batch[0]["event"] == "batch.completed"


async def test_who_leaves_a_batch_hears_no_more_of_it(desk: Desk) -> None:
    """Neither of its jobs; what else is followed stays."""
    content, batch, jobs = await a_batch(desk)
    other = await desk.submit()
    async with dial(desk) as socket:
        await say(socket, "subscribe", jobs=[other])
        await told(socket, 2)
        await subscribe(socket, batch)
        await told(socket, 3)
        await say(socket, "unsubscribe", batch=batch)
        answer = await hear(socket)
        assert answer == {"event": "unsubscribed", "jobs": jobs, "batch": batch}
        end(desk, content, 0, 1)
        for job_id in jobs:
            desk.tell(job(job_id))
        step(desk, other, State.RUNNING)
        assert (await hear(socket))["jobId"] == str(other)
        await say(socket, "unsubscribe", batch=batch)
        assert (await hear(socket))["jobs"] == []


async def test_who_leaves_all_leaves_the_batches_too(desk: Desk) -> None:
    """Nobody reads them for him any more."""
    content, batch, jobs = await a_batch(desk)
    async with dial(desk) as socket:
        await subscribe(socket, batch)
        await told(socket, 3)
        await say(socket, "unsubscribe")
        assert (await hear(socket))["jobs"] == jobs
        end(desk, content, 0, 1)
        assert await is_alive(desk, socket)
        assert (await hear(socket))["state"] == "queued"  # the next frame is of the new job


async def test_who_subscribes_twice_hears_it_once(desk: Desk) -> None:
    """A client that is not sure may ask again; a job of it that he named before goes on."""
    content, batch, jobs = await a_batch(desk)
    async with dial(desk) as socket:
        await say(socket, "subscribe", jobs=jobs[:1])
        await told(socket, 2)
        await subscribe(socket, batch)
        await told(socket, 2)
        assert (await subscribe(socket, batch))["jobs"] == jobs
        end(desk, content, 0)
        _, of_batch = await told(socket, 1)
        assert [one["progress"] for one in of_batch] == [50]


async def test_a_socket_has_bounds_for_batches(desk: Desk) -> None:
    """Ten of them, and a hundred jobs in all; what is refused takes no place."""
    _, large, _ = await a_batch(desk, 101)
    batches = [(await a_batch(desk, 1))[1] for _ in range(11)]
    async with dial(desk) as socket:
        refusal = await subscribe(socket, large)
        assert (refusal["code"], refusal["batchId"]) == ("over_quota", large)
        for batch in batches[:10]:
            assert (await subscribe(socket, batch))["event"] == "subscribed"
            await told(socket, 2)
        assert (await subscribe(socket, batches[10]))["code"] == "over_quota"
        assert len(desk.front.hub) == 10
        await say(socket, "unsubscribe", batch=batches[0])
        await hear(socket)
        assert (await subscribe(socket, batches[10]))["event"] == "subscribed"


async def test_trouble_with_the_store_is_told(desk: Desk) -> None:
    """The client may ask again; no place is kept meanwhile."""
    _, batch, _ = await a_batch(desk)
    async with dial(desk) as socket:
        desk.store.is_away = True
        assert (await subscribe(socket, batch))["code"] == "unavailable"
        assert len(desk.front.hub) == 0
        desk.store.is_away = False
        assert (await subscribe(socket, batch))["event"] == "subscribed"


async def test_a_batch_that_is_cleaned_up_meanwhile_is_gone(desk: Desk) -> None:
    """An error frame, and the socket stays."""
    _, batch, _ = await a_batch(desk)
    async with dial(desk) as socket:
        await subscribe(socket, batch)
        await told(socket, 3)
        found = BatchId(job(batch))
        news = desk.batches.news(found)
        del desk.batches.views[found]
        desk.air.offer(news)
        said = await hear(socket)
        assert (said["event"], said["code"], said["batchId"]) == ("error", "gone", batch)
        assert await is_alive(desk, socket)


@pytest.mark.parametrize("idle", [False, True])
async def test_a_draining_replica_sends_all_to_another(tmp_path: Path, *, idle: bool) -> None:
    """1012, whether the batch has news or not."""
    async with (
        open_desk(tmp_path, store=MemoryStore(), air=Loudspeaker()) as desk,
        dial(desk) as socket,
    ):
        content, batch, _ = await a_batch(desk)
        await subscribe(socket, batch)
        await told(socket, 3)
        if not idle:
            end(desk, content, 0, 1)
        desk.stop.set()
        async with asyncio.timeout(10):
            while (message := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
        assert (message.type, socket.close_code) == (aiohttp.WSMsgType.CLOSE, 1012)
