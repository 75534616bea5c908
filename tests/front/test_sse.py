"""Server-sent events: the story of the WebSocket for a plain ``EventSource``."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
import pytest

from shared.contract.ids import JobId
from shared.contract.states import State
from tests.front.desk import Desk, until
from tests.front.peer import connect


class Source:
    """Reads a stream of events as a browser does."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def block(self) -> dict[str, str]:
        """Read up to the next empty line."""
        fields: dict[str, str] = {}
        while (line := (await self.response.content.readline()).decode()) not in ("\n", ""):
            name, _, value = line.rstrip("\n").partition(":")
            fields[name] = value.strip()
        return fields

    async def event(self) -> tuple[str | None, Any]:
        """Take the next event: its id, and the status document."""
        fields = await self.block()
        while fields and "data" not in fields:
            fields = await self.block()
        return fields.get("id"), orjson.loads(fields["data"]) if fields else None


@asynccontextmanager
async def listening(
    desk: Desk, job_id: JobId, query: str = "", **headers: str
) -> AsyncIterator[Source]:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"{desk.url}/api/jobs/{job_id}/events{query}"
    async with desk.session.get(url, headers=given) as response:
        yield Source(response)


def step(desk: Desk, job_id: JobId, state: State, **values: object) -> None:
    desk.store.move(job_id, state, **values)
    desk.tell(job_id)


async def test_a_listener_hears_a_job_to_its_end(desk: Desk) -> None:
    """Events have numbers, progress has none, and the stream ends with the job."""
    job_id = await desk.submit()
    async with listening(desk, job_id) as source:
        assert source.response.headers["Content-Type"] == "text/event-stream"
        assert source.response.headers["X-Track-ID"]
        assert await source.block() == {"retry": "3000"}
        number, job = await source.event()
        assert (number, job["state"]) == ("1", "queued")
        step(desk, job_id, State.RUNNING)
        assert (await source.event())[0] == "2"
        desk.store.progress(job_id, 50)
        desk.tell(job_id)
        number, job = await source.event()
        assert (number, job["progress"]) == (None, 50)
        step(desk, job_id, State.COMPLETED, result=b"7")
        number, job = await source.event()
        assert (number, job["results"]) == ("3", 7)
        assert await source.response.content.read() == b""


@pytest.mark.parametrize(("query", "header"), [("?after=1", None), ("", "1")])
async def test_a_listener_resumes(desk: Desk, query: str, header: str | None) -> None:
    """By what a browser repeats by itself, or by the address."""
    job_id = await desk.submit()
    desk.store.move(job_id, State.RUNNING)
    desk.store.move(job_id, State.RETRYING)
    headers = {"Last-Event-ID": header} if header else {}
    async with listening(desk, job_id, query, **headers) as source:
        assert [(await source.event())[0] for _ in range(2)] == ["2", "3"]


async def test_a_browser_is_told_that_there_is_nothing_more(desk: Desk) -> None:
    """It dials again after every end; 204 is what makes it stop."""
    job_id = await desk.submit()
    desk.store.move(job_id, State.CANCELLED)
    async with listening(desk, job_id, Last_Event_ID="2") as source:
        assert source.response.status == 204
    async with listening(desk, job_id, Last_Event_ID="1") as source:
        assert (await source.event())[0] == "2"


@pytest.mark.parametrize("nonsense", ["", "x", "-1", "9" * 40])
async def test_a_nonsense_event_id_means_from_the_start(desk: Desk, nonsense: str) -> None:
    """A browser cannot be told otherwise: it repeats what it has."""
    job_id = await desk.submit()
    async with listening(desk, job_id, Last_Event_ID=nonsense) as source:
        assert (await source.event())[0] == "1"


async def test_what_is_refused_is_refused_before_the_stream(desk: Desk) -> None:
    """As everywhere: 404, 410, 400."""
    job_id = await desk.submit()
    async with listening(desk, job_id, "?after=x") as source:
        assert source.response.status == 400
    desk.store.forget(job_id)
    async with listening(desk, job_id) as source:
        assert source.response.status == 410


async def test_a_quiet_stream_shows_that_it_lives(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A comment now and then, which no handler sees."""
    monkeypatch.setattr("front_service.push.sse._HEARTBEAT", 0.05)
    job_id = await desk.submit()
    async with listening(desk, job_id) as source:
        await source.event()
        assert await source.block() == {"": "alive"}
        step(desk, job_id, State.RUNNING)
        assert (await source.event())[0] == "2"


async def test_a_listener_that_takes_nothing_is_cut(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its place is free again."""
    monkeypatch.setattr("front_service.push.sse._PATIENCE", 0.3)
    job_id = await desk.submit()
    async with connect(desk.port, receive_buffer=4_096) as slow:
        await slow.send(
            f"GET /api/jobs/{job_id}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        )
        await until(lambda: len(desk.front.hub) == 1)
        for percent in range(1, 31):
            desk.store.progress(job_id, percent, "x" * 20_000)
            desk.tell(job_id)
            before = desk.store.questions
            desk.front.listener.reconnected()
            await until(lambda before=before: desk.store.questions > before)  # type: ignore[misc]  # bound at once

        await until(lambda: len(desk.front.hub) == 0)


async def test_a_draining_replica_ends_a_new_stream_and_does_not_refuse_it(desk: Desk) -> None:
    """An ``EventSource`` that is refused gives up; one whose stream ends dials again."""
    job_id = await desk.submit()
    async with connect(desk.port) as peer:
        desk.stop.set()
        await until(lambda: desk.front.hub.is_draining)
        await peer.send(
            f"GET /api/jobs/{job_id}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        )
        answer = await peer.answer()
        async with asyncio.timeout(5):
            told = await peer.reader.read()

    assert answer.status == 200
    assert answer.headers["connection"] == "close"
    assert b"retry: " in told
    assert b"data: " not in told


async def test_a_draining_replica_ends_its_streams(desk: Desk) -> None:
    """The browser dials again and finds another one."""
    job_id = await desk.submit()
    async with listening(desk, job_id) as source:
        await source.event()
        desk.stop.set()
        assert await source.response.content.read() == b""
