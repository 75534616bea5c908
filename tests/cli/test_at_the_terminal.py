"""The command line as a process: on a terminal, under Ctrl-C, as ``python -m uketsuke``."""

import asyncio
import io
import os
import re
import shlex
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from aiohttp import web
from rich.console import Console

from tests.client.desk import Desk, Reply, stalls
from tests.client.documents import a_history, a_job_id, a_status
from uketsuke.cli.show import Bars, Screen
from uketsuke.documents import read_status

PAINT: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
RETRYING: Final[dict[str, Any]] = {
    "attempt": 2,
    "maxAttempts": 4,
    "message": "booked 2030-0002",
    "error": "the ledger is busy",
}


@asynccontextmanager
async def started(
    desk: Desk, *words: str, stdout: int = PIPE, stderr: int = PIPE, columns: int = 120
) -> AsyncIterator[Process]:
    """Run the command line as a process of its own; it does not outlive the test."""
    known = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    environment = known | {"UKETSUKE_URL": desk.url, "TERM": "xterm", "COLUMNS": str(columns)}
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
    again = shlex.split(err.decode().splitlines()[-1])
    assert again == [sys.executable, "-m", "uketsuke", "watch", job_id, "--after", "2"]
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


@pytest.mark.parametrize("columns", [80, 100])
async def test_a_list_shows_whole_ids_on_any_terminal(desk: Desk, columns: int) -> None:
    """An id is there to be copied; what is long beside it gives way."""
    names = [a_job_id() for _ in range(3)]
    for name in names:
        desk.tells(a_status(name, 1, type="documents.process", tags=["of-the-month"]))

    screen = await seen_on_a_terminal(desk, "list", columns=columns)

    assert all(name in screen for name in names)
    assert max(map(len, PAINT.sub("", screen).splitlines())) <= columns


async def test_an_empty_list_says_so_to_a_person(desk: Desk) -> None:
    """A line of headings over nothing looks like a fault."""
    assert "no jobs" in await seen_on_a_terminal(desk, "list")


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_wait_for_the_next_attempt_says_which_failed_and_why(*, is_terminal: bool) -> None:
    """The message of an attempt that is over says nothing of the wait that came after."""
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=is_terminal, width=200)
    again = read_status(a_status(a_job_id(), 2, "retrying", **RETRYING))

    with Bars(console, Screen(as_json=False)) as bars:
        bars.show(again)

    said = screen.getvalue()
    assert "attempt 2 of 4: the ledger is busy" in said
    assert "booked" not in said


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


async def seen_on_a_terminal(desk: Desk, *words: str, columns: int = 120) -> str:
    leader, follower = os.openpty()
    async with started(desk, *words, stdout=follower, stderr=follower, columns=columns) as process:
        os.close(follower)
        screen = await asyncio.to_thread(read_to_the_end, leader)
        await process.wait()
    return screen


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
