"""Many jobs over one socket: each watch promises what it promises alone."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from shared.contract.errors import Gone, UnknownJob
from shared.contract.states import State
from tests.client.desk import Desk, Reply, answers, is_cut, says
from tests.client.documents import a_history, a_job_id, a_status
from tests.front.desk import Desk as Front
from tests.front.desk import open_desk, until
from uketsuke.client import Client
from uketsuke.errors import BadAnswer
from uketsuke.together import Together


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    """The real front service, over a store in memory."""
    async with open_desk(tmp_path / "blobs") as one:
        yield one


async def states(source: Together, job_id: object) -> list[str]:
    return [status.state async for status in source.watch(job_id)]


def refuses_all(code: str) -> Reply:
    """Build a common socket that refuses every command as a whole."""

    async def answer(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            said = message.json()
            trouble = {"event": "error", "code": code, "error": "no", "op": said["op"]}
            await socket.send_json(trouble | {"id": said.get("id")})
        return socket

    return answer


class TestAgainstTheFront:
    async def test_every_watch_tells_its_own_job_to_the_end(self, front: Front) -> None:
        """One socket, however many there are, and nobody hears of another's job."""
        jobs = [await front.submit() for _ in range(100)]
        async with Client(front.url) as client, client.together() as together:
            watching = [asyncio.create_task(states(together, one)) for one in jobs]
            await until(lambda: len(front.front.hub) == 100)
            assert front.front.server.open_connections <= 2  # the submits have one of their own
            for number, job_id in enumerate(jobs):
                front.store.move(job_id, State.RUNNING)
                front.store.move(job_id, State.FAILED if number % 2 else State.COMPLETED)
                front.tell(job_id)
            told = await asyncio.gather(*watching)
        assert told == [
            ["queued", "running", "failed" if n % 2 else "completed"] for n in range(100)
        ]

    async def test_trouble_with_one_job_does_not_end_the_others(self, front: Front) -> None:
        """Unknown and gone are errors of their own watches."""
        good, gone = await front.submit(), await front.submit()
        front.store.forget(gone)
        front.store.move(good, State.CANCELLED)
        async with Client(front.url) as client, client.together() as together:
            told = await asyncio.gather(
                *(states(together, one) for one in (good, gone, a_job_id(), "no id")),
                return_exceptions=True,
            )
        assert told[0] == ["cancelled"]
        assert [type(one) for one in told[1:]] == [Gone, UnknownJob, UnknownJob]

    async def test_a_watch_that_is_left_frees_its_place(self, front: Front) -> None:
        """The others go on."""
        left, kept = await front.submit(), await front.submit()
        async with Client(front.url) as client, client.together() as together:
            leaving = asyncio.create_task(states(together, left))
            staying = asyncio.create_task(states(together, kept))
            await until(lambda: len(front.front.hub) == 2)
            leaving.cancel()
            await until(lambda: len(front.front.hub) == 1)
            front.store.move(kept, State.CANCELLED)
            front.tell(kept)
            assert await staying == ["queued", "cancelled"]

    async def test_a_replica_that_leaves_is_followed_by_another(self, front: Front) -> None:
        """Each job goes on after its own number: nothing twice, nothing missed."""
        jobs = [await front.submit() for _ in range(3)]
        async with Client(front.url) as client, client.together() as together:
            watching = [asyncio.create_task(states(together, one)) for one in jobs]
            await until(lambda: len(front.front.hub) == 3)
            front.front.hub.drain()
            await until(lambda: len(front.front.hub) == 0)
            front.front.hub.__init__()  # type: ignore[misc]  # another replica, on the same port
            for job_id in jobs:
                front.store.move(job_id, State.RUNNING)
                front.store.move(job_id, State.CANCELLED)
            told = await asyncio.gather(*watching)
        assert told == 3 * [["queued", "running", "cancelled"]]

    async def test_a_token_opens_the_job_to_a_reader(self, front: Front) -> None:
        """What the client mints, a page can use."""
        job_id, gone = await front.submit(), await front.submit()
        async with Client(front.url) as client:
            token = await client.mint_token(job_id)
            front.store.forget(gone)
            with pytest.raises(Gone):
                await client.mint_token(gone)
        assert token.job_id == job_id
        assert token.token not in repr(token)
        url = f"{front.url}/jobs/{job_id}"
        async with (
            aiohttp.ClientSession() as page,
            page.ws_connect(url, protocols=["uketsuke.v1", token.token]) as socket,
        ):
            assert (await socket.receive_json(timeout=10))["jobId"] == str(job_id)


class TestOddServers:
    @pytest.mark.parametrize(
        "odd",
        [answers(404), is_cut, refuses_all("over_quota"), says(code=1008)],
        ids=["none there", "cut", "refused", "closed at once"],
    )
    async def test_without_a_socket_each_job_is_polled(
        self, desk: Desk, client: Client, odd: Reply
    ) -> None:
        """An older server, a proxy that knows no sockets, no room for one more."""
        desk.common.extend(30 * [odd])
        jobs = [desk.tells(*a_history()) for _ in range(2)]
        async with client.together() as together:
            told = await asyncio.gather(*(states(together, one) for one in jobs))
        assert all(one[-1] == "completed" for one in told)
        assert desk.polled(jobs[0])

    @pytest.mark.parametrize("frame", ["no json", b"binary", "{"], ids=str)
    async def test_a_server_that_talks_nonsense_is_a_bad_answer(
        self, desk: Desk, client: Client, frame: Any
    ) -> None:
        """As on a socket of its own."""
        desk.common.append(says(frame))
        job_id = desk.tells(*a_history())
        async with client.together() as together:
            with pytest.raises(BadAnswer):
                await states(together, job_id)

    async def test_frames_of_strangers_are_passed_over(self, desk: Desk, client: Client) -> None:
        """A job that was left a moment ago, an event of a newer server."""
        job_id = desk.tells(*a_history())
        desk.common.append(
            says(
                a_status(a_job_id(), 1),
                '{"event": "news", "of": "tomorrow"}',
                "[]",
                *(a_status(job_id, 1), a_status(job_id, 2, "completed")),
            )
        )
        async with client.together() as together:
            assert (await states(together, job_id))[-1] == "completed"

    async def test_one_job_is_watched_twice(self, desk: Desk, client: Client) -> None:
        """The second watch is polled; none takes the other's frames."""
        job_id = desk.tells(*a_history())
        async with client.together() as together:
            told = await asyncio.gather(states(together, job_id), states(together, job_id))
        assert [one[-1] for one in told] == ["completed", "completed"]
