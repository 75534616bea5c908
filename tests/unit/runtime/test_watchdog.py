"""The watchdog barks at a loop that stands still, and bites; a loop that turns it lets be."""

import asyncio
import signal
import subprocess
import sys
import time
from datetime import timedelta
from typing import Final

import pytest
from structlog.testing import capture_logs

from shared.runtime.watchdog import STALLED, Watchdog
from tests.support.clock import ManualClock

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


class Dog:
    """A watchdog whose looks and signs of life are given by hand: it warns at 1 s, limit 5 s."""

    def __init__(self) -> None:
        self.dog = Watchdog(warn=timedelta(seconds=1), limit=timedelta(seconds=5))
        self.clock = ManualClock()
        self.dog.look(self.clock.now)

    def looks(self, times: int, *, every: float = 0.1, is_alive: bool = False) -> float:
        """Look so often, and answer the longest stall that was seen."""
        seen = []
        for _ in range(times):
            self.dog._pings += is_alive
            seen.append(self.dog.look(self.clock.pass_by(every)))
        return max(seen)


def test_a_stall_is_told_once_and_the_next_one_again() -> None:
    """However long it goes on; and long before it is deadly."""
    dog = Dog()
    with capture_logs() as logged:
        first = dog.looks(45)
        between = dog.looks(1, is_alive=True)
        assert [line["event"] for line in logged] == ["loop stalled"]
        dog.looks(12)

    assert first == pytest.approx(4.5, abs=0.5)
    assert between == 0
    assert [line["event"] for line in logged] == ["loop stalled"] * 2


def test_a_loop_that_turns_is_let_be() -> None:
    """Also one that lives for much longer than the limit."""
    with capture_logs() as logged:
        assert Dog().looks(1_000, is_alive=True) == 0

    assert logged == []


def test_a_process_that_was_stopped_as_a_whole_goes_on() -> None:
    """Its leases say whether anything is left to do; the loop was not to blame."""
    dog = Dog()
    with capture_logs() as logged:
        assert dog.looks(1, every=60) < 1
        assert dog.looks(1, is_alive=True) == 0

    assert logged == []


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


async def test_a_stall_is_told_with_its_place() -> None:
    """A thread sees it while the loop stands still, and nobody dies of it."""
    left, events = await watched(1.2, warn=0.3, limit=30)

    assert left == []
    assert set(events) == {"loop stalled"}


async def test_too_long_a_stall_ends_the_process() -> None:
    """With a code of its own, so that whoever finds it knows why."""
    left, events = await watched(1.5, warn=0.3, limit=0.6)

    assert left == [STALLED]
    assert events[-1] == "loop stalled for too long: this process ends"


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
