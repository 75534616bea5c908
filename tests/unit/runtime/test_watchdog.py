"""The watchdog barks at a loop that stands still, and bites; a loop that turns it lets be."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from typing import Final

from structlog.testing import capture_logs

from shared.runtime.watchdog import STALLED, Watchdog

_HOLDS_EVERYBODY_UP: Final = """
import asyncio, re, sys
from datetime import timedelta
from shared.runtime.watchdog import Watchdog

async def main():
    dog = Watchdog(warn=timedelta(seconds=0.2), limit=timedelta(seconds=float(sys.argv[1])))
    watching = asyncio.create_task(dog.run())
    await asyncio.sleep(0.3)
    re.match("(a+)+$", "a" * 60 + "b")

asyncio.run(main())
"""
_IS_STOPPED: Final = """
import asyncio
from datetime import timedelta
from shared.runtime.watchdog import Watchdog

async def main():
    dog = Watchdog(warn=timedelta(seconds=0.5), limit=timedelta(seconds=1))
    watching = asyncio.create_task(dog.run())
    await asyncio.sleep(0.2)
    print("ready", flush=True)
    await asyncio.to_thread(input)
    print("alive", flush=True)

asyncio.run(main())
"""


async def watched(stall: float, *, warn: float, limit: float) -> tuple[list[int], list[str]]:
    """Let the loop stand still for *stall* seconds; give exit codes, and what was logged."""
    left: list[int] = []
    with capture_logs() as logged:
        dog = Watchdog(
            warn=timedelta(seconds=warn), limit=timedelta(seconds=limit), leave=left.append
        )
        watching = asyncio.create_task(dog.run())
        await asyncio.sleep(0.2)
        time.sleep(stall)  # noqa: ASYNC251  the stall itself
        watching.cancel()
        await asyncio.wait([watching])
    return left, [line["event"] for line in logged]


async def test_a_stall_is_told_once_with_its_place() -> None:
    """Long before it is deadly; and once, however long it goes on."""
    left, events = await watched(1.2, warn=0.3, limit=30)

    assert (left, events) == ([], ["loop stalled"])


async def test_too_long_a_stall_ends_the_process() -> None:
    """With a code of its own, so that whoever finds it knows why."""
    left, events = await watched(1.5, warn=0.3, limit=0.6)

    assert left == [STALLED]
    assert events == ["loop stalled", "loop stalled for too long: this process ends"]


async def test_a_loop_that_turns_is_let_be() -> None:
    """Also one that lives for much longer than the limit."""
    left: list[int] = []
    dog = Watchdog(warn=timedelta(seconds=0.8), limit=timedelta(seconds=1), leave=left.append)
    with capture_logs() as logged:
        watching = asyncio.create_task(dog.run())
        await asyncio.wait([watching], timeout=1.5)
        watching.cancel()
        await asyncio.wait([watching])

    assert (left, logged) == ([], [])


def test_a_call_that_lets_no_thread_run_is_ended_by_the_kernel() -> None:
    """A regular expression may run for years, and holds even the watchdog up."""
    ended = subprocess.run(
        [sys.executable, "-c", _HOLDS_EVERYBODY_UP, "1"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ended.returncode == -signal.SIGPROF
    assert "main" in ended.stderr  # it says where


def test_a_process_that_was_stopped_as_a_whole_goes_on() -> None:
    """Its leases say whether anything is left to do; the loop was not to blame."""
    with subprocess.Popen(
        [sys.executable, "-c", _IS_STOPPED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(2)
        os.kill(process.pid, signal.SIGCONT)
        time.sleep(1)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "alive\n"
    assert process.returncode == 0
