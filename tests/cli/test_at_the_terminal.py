"""The command line as a process: on a terminal, under Ctrl-C, as ``python -m uketsuke``."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from tests.client.desk import Desk, Reply, stalls
from tests.client.documents import a_history, a_job_id, a_status


@asynccontextmanager
async def started(
    desk: Desk, *words: str, stdout: int = PIPE, stderr: int = PIPE
) -> AsyncIterator[Process]:
    """Run the command line as a process of its own; it does not outlive the test."""
    known = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    environment = known | {"UKETSUKE_URL": desk.url, "TERM": "xterm", "COLUMNS": "120"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "uketsuke", *words, env=environment, stdout=stdout, stderr=stderr
    )
    try:
        async with asyncio.timeout(30):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def tells_and_stays(frame: dict[str, Any]) -> Reply:
    async def answer(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json(frame)
        await socket.receive()
        return socket

    return answer


async def test_ctrl_c_ends_the_watch_cancels_nothing_and_says_how_to_go_on(desk: Desk) -> None:
    """Looking away costs nothing: the command to look again is printed, with its place."""
    job_id = desk.tells(a_status(a_job_id(), 2, progress=40))
    desk.sockets.append(tells_and_stays(desk.jobs[job_id][0]))

    async with started(desk, "watch", job_id) as process:
        assert process.stderr is not None
        first = await process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()

    assert b"40%" in first
    assert process.returncode == 130
    assert f"uketsuke watch {job_id} --after 2".encode() in err
    assert b"Traceback" not in err
    assert out == b""
    assert desk.of("DELETE") == []


async def test_ctrl_c_before_the_ticket_names_the_key_to_repeat_with(desk: Desk) -> None:
    """Whether the job was accepted is unknown then; with the key a repeat is the same job."""
    arrived = asyncio.Event()

    async def arrives_and_stalls(request: web.Request) -> web.StreamResponse:
        arrived.set()
        return await stalls(request)

    desk.script["submit"].append(arrives_and_stalls)

    async with started(desk, "submit", "demo.echo") as process:
        await arrived.wait()
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()

    assert process.returncode == 130
    assert f"--idempotency-key {desk.seen[0].headers['Idempotency-Key']}".encode() in err


async def test_on_a_terminal_there_are_bars_and_colours(desk: Desk) -> None:
    """And when it is over, the ending stands there."""
    job_id = desk.tells(*a_history(results={"text": "ok"}))
    leader, follower = os.openpty()

    async with started(desk, "watch", job_id, stdout=follower, stderr=follower) as process:
        os.close(follower)
        screen = await asyncio.to_thread(read_to_the_end, leader)
        await process.wait()

    assert process.returncode == 0
    assert "━" in screen
    assert "\x1b[" in screen
    assert "100%" in screen
    assert '"text": "ok"' in screen


async def test_in_a_pipe_there_is_plain_text(desk: Desk) -> None:
    """No bar, no colour, no cursor tricks: fit for a log."""
    job_id = desk.tells(*a_history())

    async with started(desk, "watch", job_id) as process:
        out, err = await process.communicate()

    assert process.returncode == 0
    assert b"\x1b" not in out + err
    assert err.decode().splitlines()[-1] == f"{job_id}  completed"


async def test_a_pipe_that_closes_early_is_no_drama(desk: Desk) -> None:
    """``uketsuke list | head -1`` ends without a traceback."""
    for _ in range(20):
        desk.tells(a_status(a_job_id(), 1, tags=["x" * 100] * 20))
    reader, writer = os.pipe()
    os.close(reader)

    async with started(desk, "list", "--json", stdout=writer) as process:
        os.close(writer)
        _, err = await process.communicate()

    assert b"Traceback" not in err


def read_to_the_end(leader: int) -> str:
    """Read a terminal until the other side has closed it."""
    text = b""
    try:
        while chunk := os.read(leader, 65_536):
            text += chunk
    except OSError:  # Linux says so when the last writer is gone
        pass
    finally:
        os.close(leader)
    return text.decode()
