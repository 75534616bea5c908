"""Run jobs that have ended their workers alone, so that the guilty one is told from the innocent.

Whatever runs in a process dies with it. So a job that must not end one more worker gets a
process to itself: if that ends too, it was this job, and nobody else was harmed.
"""

import asyncio
import ctypes
import os
import random
import signal
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from time import monotonic
from typing import Final, Protocol

import structlog

from shared.broker.delivery import Custody, Delivery
from shared.broker.early import Heard
from shared.contract.errors import Unavailable
from shared.contract.ids import JobId
from shared.contract.messages import encode_knock
from shared.runtime.clock import Clock
from shared.store.pool import Rejected
from shared.store.work import WorkStore

log = structlog.get_logger()

_LOOK: Final = 1.0  # seconds
_SPREAD: Final = 2.0  # seconds within which the workers of a pool look again
_START: Final = 1.0  # seconds that a quarantine takes at least before it begins a job
_LONG: Final = 10.0  # seconds: one that lived longer does not fail again and again
_FIRST_PAUSE: Final = 1.0  # seconds, doubled with each failure in a row
_LONGEST_PAUSE: Final = 60.0
_PARENT: Final = "UKETSUKE_QUARANTINE_OF"
_EMPTY_LOOKS: Final = 3  # then a quarantine closes
_ROUTE: Final = "jobs.quarantine.normal"  # of no queue: they come from the store
_PR_SET_PDEATHSIG: Final = 1


class Process(Protocol):
    """What is needed of a child: as ``asyncio.subprocess.Process``."""

    @property
    def pid(self) -> int: ...

    async def wait(self) -> int: ...

    def send_signal(self, signal: int) -> None: ...


class Quarantine:
    """A service of every worker: while there are suspects, a process for them, one at a time.

    Told to ``close``, it opens no more and has the process drain. Cancelled, it waits for its end.
    """

    name = "quarantine"

    def __init__(
        self,
        work: WorkStore,
        *,
        pools: Collection[str],
        clock: Clock,
        dice: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        spawn: Callable[[], Awaitable[Process]] | None = None,
    ) -> None:
        self._work, self._pools, self._clock = work, pools, clock
        self._dice, self._sleep, self._spawn = dice, sleep, spawn or _spawn
        self._process: Process | None = None
        self._is_closing = False

    async def run(self) -> None:
        pause = 0.0
        while True:
            await self._sleep(_LOOK + pause)
            if await self._is_needed():
                went_well = await self._attend()
                pause = 0.0 if went_well else min(_LONGEST_PAUSE, pause * 2 or _FIRST_PAUSE)

    async def close(self) -> None:
        """Open no more, and ask the process to leave: what it runs may end meanwhile."""
        if not self._is_closing:
            self._is_closing = True
            self._ask_to_leave()

    async def _is_needed(self) -> bool:
        """Look twice, a random moment apart: else each worker of the pool starts a process."""
        if not await _look(self._work, self._pools):
            return False
        await self._sleep(_SPREAD * self._dice())
        return not self._is_closing and bool(await _look(self._work, self._pools))

    async def _attend(self) -> bool:
        """Open one and wait for its end; cancelled, wait for it all the same."""
        running = asyncio.create_task(self._open(), name="quarantine attended")
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            await self.close()
            await asyncio.wait((running,))
            raise

    async def _open(self) -> bool:
        """Run one to its end; answer whether the next one may follow at once."""
        if self._is_closing:  # since the second look
            return True
        begun = self._clock.monotonic()
        try:
            self._process = await self._spawn()
        except OSError as error:  # no room for one more process: it is no fault of ours
            log.warning("quarantine could not start", why=str(error))
            return False
        log.info("quarantine opened", pid=self._process.pid)
        if self._is_closing:  # while it started
            self._ask_to_leave()
        code = await self._process.wait()
        self._process = None
        return self._judge(code, self._clock.monotonic() - begun)

    def _judge(self, code: int, lived: float) -> bool:
        if code == 0 or (self._is_closing and code == -signal.SIGTERM):  # it had not begun
            return True
        event = "quarantine ended by its job" if lived > _START else "quarantine could not start"
        log.warning(event, exit_code=code, seconds=round(lived, 1))
        return lived > _LONG

    def _ask_to_leave(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):  # it has just left
                self._process.send_signal(signal.SIGTERM)


class Suspects:
    """The knocks of a quarantine: found in the store, one at a time. *nobody_left* ends it.

    No message stands behind them: what is not claimed is simply found again.
    """

    name = "suspects"

    def __init__(
        self,
        work: WorkStore,
        *,
        pools: Collection[str],
        is_busy: Callable[[], bool],
        nobody_left: Callable[[], None],
    ) -> None:
        self.news = asyncio.Event()
        self.waiting: Mapping[str, deque[Delivery]] = {_ROUTE: deque()}
        self.early: deque[Heard] = deque()  # nobody is called before his turn
        self._work, self._pools = work, pools
        self._is_busy, self._nobody_left = is_busy, nobody_left
        self._custody = _NoCustody()
        self._is_paused = False

    async def run(self) -> None:
        _end_with_parent()
        empty = 0
        while empty < _EMPTY_LOOKS and _has_parent():
            empty = 0 if self._is_busy() or await self._offer() else empty + 1
            await asyncio.sleep(_LOOK)
        self._nobody_left()
        await asyncio.Event().wait()

    async def pause(self) -> None:
        self._is_paused = True
        self.waiting[_ROUTE].clear()

    async def _offer(self) -> bool:
        found = await _look(self._work, self._pools)
        if not found or self._is_paused:
            return False
        if not self.waiting[_ROUTE]:
            self.waiting[_ROUTE].append(self._knock(found))
            self.news.set()
        return True

    def _knock(self, job_ids: list[JobId]) -> Delivery:
        return Delivery(
            body=encode_knock(job_ids, keyed=True),
            route=_ROUTE,
            headers={},
            message_id=None,
            user_id=None,
            redelivered=False,
            arrived_at=monotonic(),
            custody=self._custody,
            tag=0,
        )


class _NoCustody(Custody):
    """Nobody waits for these to be settled."""

    def __init__(self) -> None:
        """Hold nothing."""

    async def ack(self, tags: Collection[int]) -> int:
        return len(tags)

    async def reject(self, _tag: int) -> int:
        return 1


async def _look(work: WorkStore, pools: Collection[str]) -> list[JobId]:
    try:
        return await work.suspects(pools)
    except (Unavailable, Rejected):
        return []


async def _spawn() -> Process:
    ours = {"UKETSUKE_QUARANTINE": "yes", _PARENT: str(os.getpid()), "UKETSUKE_PRELOAD": "no"}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "back_service"),
        env=os.environ | ours,
        stdin=asyncio.subprocess.DEVNULL,
        start_new_session=True,  # the terminal's Ctrl-C is for us: it is told in its turn
    )


def _end_with_parent() -> None:
    """Drain when the worker that opened this quarantine ends, however it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _has_parent() -> bool:
    """Say whether the worker that opened this quarantine is there; one opened by hand has none."""
    return os.environ.get(_PARENT, str(os.getppid())) == str(os.getppid())
