"""Run jobs that have ended their workers alone, so that the guilty one is told from the innocent.

Whatever runs in a process dies with it. So a job that must not end one more worker gets a
process to itself: if that ends too, it was this job, and nobody else was harmed.
"""

import asyncio
import ctypes
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Collection, Mapping
from time import monotonic
from typing import Final

import structlog

from shared.broker.delivery import Custody, Delivery
from shared.contract.errors import Unavailable
from shared.contract.ids import JobId
from shared.contract.messages import encode_knock
from shared.store.pool import Rejected
from shared.store.work import WorkStore

log = structlog.get_logger()

_LOOK: Final = 1.0  # seconds
_EMPTY_LOOKS: Final = 3  # then a quarantine closes
_ROUTE: Final = "jobs.quarantine.normal"  # of no queue: they come from the store
_PR_SET_PDEATHSIG: Final = 1


class Quarantine:
    """A service of every worker: while there are suspects, a process for them, one at a time."""

    name = "quarantine"

    def __init__(self, work: WorkStore, *, pools: Collection[str]) -> None:
        self._work, self._pools = work, pools

    async def run(self) -> None:
        while True:
            await asyncio.sleep(_LOOK)
            if await _look(self._work, self._pools):
                await self._open()

    async def _open(self) -> None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "back_service"),
            env=os.environ | {"UKETSUKE_QUARANTINE": "yes", "UKETSUKE_PRELOAD": "no"},
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # the terminal's Ctrl-C is for us: it is told in its turn
        )
        log.info("quarantine opened", pid=process.pid)
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            process.send_signal(signal.SIGTERM)
            await process.wait()
            raise
        if code:
            log.warning("quarantine ended by its job", exit_code=code)


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
        self._work, self._pools = work, pools
        self._is_busy, self._nobody_left = is_busy, nobody_left
        self._custody = _NoCustody()
        self._is_paused = False

    async def run(self) -> None:
        _end_with_parent()
        empty = 0
        while empty < _EMPTY_LOOKS:
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


def _end_with_parent() -> None:
    """Drain when the worker that opened this quarantine ends, however it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
