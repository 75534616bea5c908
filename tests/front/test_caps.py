"""One more than a cap: a clear answer, counted, and all goes on for those who are in."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp

from tests.front.desk import Desk, open_desk, until
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
            assert 0 < int(response.headers["Retry-After"]) <= 100
        async with desk.session.get(f"{desk.url}/api/jobs/{job_id}") as response:
            assert response.status == 200
        assert len(desk.store.views) == 2


async def test_without_a_rate_there_is_none(tmp_path: Path) -> None:
    """The cap of the outbox stands all the same."""
    async with open_desk(tmp_path, burst=1) as desk:
        for _ in range(20):
            await desk.submit()
