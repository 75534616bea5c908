"""Many sockets on one front, half of which never read: what these cost, and the others feel.

``make bench ARGS="sockets"`` measures the same with ten thousand, and by the clock.
"""

import asyncio
from contextlib import AsyncExitStack

import pytest

from front_service.push import socket as push_socket
from tests.front.desk import Desk, until
from tests.front.peer import Peer, connect

EACH = 40
MOST_BYTES = 64 * 1024
LONG = "x" * 500


async def hears_on(peer: Peer, told: list[bytes]) -> None:
    while True:
        opcode, body = await peer.frame()
        if opcode == 1:
            told.append(body)


async def test_who_reads_hears_all_and_who_does_not_costs_little_and_is_cut(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No buffer of a slow one grows past its bound, while the news go on to the others."""
    monkeypatch.setattr(push_socket, "_SEND_PATIENCE", 1.0)
    tags = [f"{n:02}" + "t" * 98 for n in range(20)]
    job_id = await desk.submit(job={"tags": tags})
    async with AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(connect(desk.port)) for _ in range(EACH)]
        slow = [
            await stack.enter_async_context(connect(desk.port, receive_buffer=4_096))
            for _ in range(EACH)
        ]
        for peer in (*peers, *slow):
            assert (await peer.upgrade(f"/jobs/{job_id}")).status == 101
        heard: list[list[bytes]] = [[] for _ in peers]
        async with asyncio.TaskGroup() as group:
            ears = [
                group.create_task(hears_on(peer, told))
                for peer, told in zip(peers, heard, strict=True)
            ]
            await until(lambda: len(desk.front.hub) == 2 * EACH)
            most, number = 0, 0
            async with asyncio.timeout(30):
                while len(desk.front.hub) > EACH:
                    number += 1
                    desk.store.progress(job_id, 1, f"{number} {LONG}")
                    desk.tell(job_id)
                    last = f'"{number} '.encode()
                    await until(lambda: all(told and last in told[-1] for told in heard))  # noqa: B023
                    most = max(most, *buffered(desk))
            for ear in ears:
                ear.cancel()
        assert number * 3_000 > 2 * MOST_BYTES  # without a bound it would have been passed
        assert 0 < most <= MOST_BYTES
        for peer in slow:
            assert await peer.is_closed()


def buffered(desk: Desk) -> list[int]:
    """List what waits in this process for each connection, in bytes."""
    server = desk.front.server._server
    assert server is not None
    lines = [connection.transport for connection in server.connections]
    return [line.get_write_buffer_size() for line in lines if line is not None]
