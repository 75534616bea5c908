"""One more than a cap: a clear answer, counted, and all goes on for those who are in."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from tests.front.desk import Desk, open_desk, until
from tests.front.memory import MemoryQuotas
from tests.front.peer import connect

ASK = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def metric(desk: Desk, line: str) -> float:
    """Read one line of the front's metrics; 0 where there is none yet."""
    async with desk.session.get(f"{desk.url}/metrics") as response:
        text = await response.text()
    found = [row for row in text.splitlines() if row.startswith(f"{line} ")]
    return float(found[0].rpartition(" ")[2]) if found else 0.0


async def test_i12_one_connection_too_many_is_told_to_come_back(tmp_path: Path) -> None:
    """503 and the end, before it has asked anything; those inside notice nothing."""
    async with open_desk(tmp_path, max_connections=3) as desk, AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(connect(desk.port)) for _ in range(2)]
        for peer in peers:
            await peer.send(ASK)
            assert (await peer.answer()).status == 200
        assert await metric(desk, "uketsuke_connections") == 3  # with the one that asks

        async with connect(desk.port) as late:
            answer = await late.answer()
            assert (answer.status, answer.code) == (503, "unavailable")
            assert answer.headers["retry-after"] == "5"
            assert answer.headers["connection"] == "close"
            assert answer.headers["x-track-id"]
            assert await late.is_closed(within=5)
        for peer in peers:
            await peer.send(ASK)
            assert (await peer.answer()).status == 200
        assert await metric(desk, 'uketsuke_connections_refused_total{bound="all"}') == 1


async def test_i12_whoever_leaves_makes_room(tmp_path: Path) -> None:
    """Also when he leaves in the middle of a word."""
    async with open_desk(tmp_path, max_connections=1) as desk:
        for _ in range(5):
            async with connect(desk.port) as peer:
                await peer.send(ASK)
                assert (await peer.answer()).status == 200
                await peer.send(b"GET /liv")
            await until(lambda: len(desk.front.crowd) == 0)


async def test_i12_one_address_has_a_bound_of_its_own(tmp_path: Path) -> None:
    """Unless it is a proxy's, as the machine itself is unless somebody says otherwise."""
    async with (
        open_desk(tmp_path, max_connections_per_address=1, trusted_proxies=()) as desk,
        connect(desk.port) as first,
    ):
        await first.send(ASK)
        assert (await first.answer()).status == 200

        async with connect(desk.port) as second:
            await second.send(ASK)
            assert (await second.answer()).status == 503
        await first.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b'refused_total{bound="address"} 1.0' in (await first.answer()).body


async def test_i12_a_stream_too_many_is_refused_before_the_upgrade(tmp_path: Path) -> None:
    """429 over every kind of stream; requests that wait are counted apart."""
    async with open_desk(tmp_path, max_streams=1) as desk:
        job_id = await desk.submit()
        async with desk.session.ws_connect(f"{desk.url}/jobs/{job_id}") as socket:
            await socket.receive()
            for path in (f"/jobs/{job_id}", f"/api/jobs/{job_id}/events"):
                upgrade = {} if "events" in path else UPGRADE
                async with desk.session.get(desk.url + path, headers=upgrade) as response:
                    assert response.status == 429
                    assert (await response.json())["code"] == "over_quota"
                    assert response.headers["Retry-After"] == "5"
            waiting = asyncio.create_task(waits(desk, f"/api/jobs/{job_id}?wait=30"))
            await until(lambda: len(desk.front.hub) == 2)
            assert await metric(desk, "uketsuke_waiting") == 1
        await until(lambda: len(desk.front.hub) == 1)
        async with desk.session.ws_connect(f"{desk.url}/jobs/{job_id}") as socket:
            assert (await socket.receive()).type is aiohttp.WSMsgType.TEXT
        assert await metric(desk, 'uketsuke_requests_refused_total{code="over_quota"}') == 2
        waiting.cancel()


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg==",
}


async def waits(desk: Desk, path: str) -> None:
    async with desk.session.get(desk.url + path) as response:
        await response.read()


async def test_i12_more_submits_than_the_rate_are_refused(tmp_path: Path) -> None:
    """429 with the time to wait; nothing is stored, and what only reads goes on."""
    async with open_desk(tmp_path, rate=0.01, burst=2) as desk:
        for _ in range(2):
            job_id = await desk.submit()
        async with desk.session.post(f"{desk.url}/api/demo/echo", json={}) as response:
            assert response.status == 429
            assert (await response.json())["code"] == "over_quota"
            assert (await response.json())["policy"] == "front"
            assert 0 < int(response.headers["Retry-After"]) <= 100
            assert response.headers["RateLimit-Policy"] == '"front";q=2;w=200'
            assert response.headers["RateLimit"].startswith('"front";r=0;t=')
        async with desk.session.get(f"{desk.url}/api/jobs/{job_id}") as response:
            assert response.status == 200
        assert len(desk.store.views) == 2


@pytest.mark.parametrize("kind", ["application/json", "application/x-ndjson"])
async def test_i12_a_batch_counts_as_many_submits_as_it_has_places(
    tmp_path: Path, kind: str
) -> None:
    """Good ones and bad ones; what is too much is refused whole, and leaves what there was."""
    async with open_desk(tmp_path, rate=0.01, burst=5) as desk:
        assert (await hand_in(desk, 3, kind))[0] == 202
        status, problem, headers = await hand_in(desk, 3, kind)
        assert (status, problem["code"], problem["policy"]) == (429, "over_quota", "front")
        assert 0 < int(headers["Retry-After"]) <= 100
        assert headers["RateLimit"].startswith('"front";r=2;t=')
        assert headers["RateLimit-Policy"] == '"front";q=5;w=500'
        assert len(desk.store.views) == 3

        assert (await hand_in(desk, 2, kind, good=False))[0] == 422
        assert (await hand_in(desk, 1, kind))[0] == 429
        assert len(desk.store.views) == 3


async def test_i12_a_batch_that_can_never_be_taken_is_told_so(tmp_path: Path) -> None:
    """413 and no time to come back at: it would wait for ever. Nothing is counted for it."""
    async with open_desk(tmp_path, rate=0.01, burst=5) as desk:
        status, problem, headers = await hand_in(desk, 6)
        assert (status, problem["code"]) == (413, "too_large")
        assert "5 jobs at once" in problem["detail"]
        assert "Retry-After" not in headers

        assert (await hand_in(desk, 5))[0] == 202


async def test_i12_a_batch_that_the_rate_has_no_room_for_takes_no_turns_of_its_tenant(
    tmp_path: Path,
) -> None:
    """What can never be taken is refused before anything is counted."""
    quotas = MemoryQuotas()
    quotas.give("default", rate=0.01, burst=10)
    async with open_desk(tmp_path, quotas=quotas, rate=0.01, burst=5) as desk:
        assert (await hand_in(desk, 6))[0] == 413
        status, _, headers = await hand_in(desk, 5)

        assert (status, headers["RateLimit"]) == (202, '"submits";r=5;t=500')


async def hand_in(
    desk: Desk, size: int, kind: str = "application/json", *, good: bool = True
) -> tuple[int, Any, Any]:
    entry = orjson.dumps({"type": "demo.echo" if good else "no.such"})
    is_document = kind == "application/json"
    data = (
        b'{"jobs":[' + b",".join([entry] * size) + b"]}"
        if is_document
        else b"\n".join([entry] * size)
    )
    async with desk.session.post(
        f"{desk.url}/api/batches", data=data, headers={"Content-Type": kind}
    ) as response:
        return response.status, await response.json(), response.headers


async def test_without_a_rate_there_is_none(tmp_path: Path) -> None:
    """The cap of the outbox stands all the same."""
    async with open_desk(tmp_path, burst=1) as desk:
        for _ in range(20):
            await desk.submit()
