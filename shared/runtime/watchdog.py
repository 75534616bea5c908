"""End a process whose event loop has stalled for longer than a limit.

A thread watches a sign of life that only the loop can give. It counts the time in which it was
itself awake: a process that was stopped as a whole, and goes on, is judged by its leases. What
lapses how soon is not known here: that is for whoever sets the limit.
A loop that keeps even this thread from running (one long call of C code that lets nobody else
in) is ended by the kernel, once it has burnt as much processor time.
"""

import asyncio
import faulthandler
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import structlog

log = structlog.get_logger()

STALLED: Final = 70  # exit code: EX_SOFTWARE
_PING: Final = 0.1  # seconds between two signs of life
_LOOK: Final = 0.1  # seconds between two looks for them
_AT_MOST: Final = 3 * _LOOK  # of one look: more is not a stall of the loop alone
_NET: Final = 1.1  # times the limit


class Watchdog:
    """A service: the first to be started, so that a drain is watched as well."""

    name = "watchdog"

    def __init__(
        self, *, warn: timedelta, limit: timedelta, leave: Callable[[int], object] = os._exit
    ) -> None:
        self._warn, self._limit = warn.total_seconds(), limit.total_seconds()
        self._leave = leave
        self._pings = self._seen = 0
        self._stalled = self._looked_at = 0.0
        self._is_over = threading.Event()

    async def run(self) -> None:
        watching = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        faulthandler.register(signal.SIGPROF, chain=True)  # it tells where, and then it is deadly
        watching.start()
        try:
            while True:
                self._pings += 1
                signal.setitimer(signal.ITIMER_PROF, self._limit * _NET)
                await asyncio.sleep(_PING)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            faulthandler.unregister(signal.SIGPROF)
            self._is_over.set()

    def look(self, now: float) -> float:
        """Answer for how many seconds no sign of life has come; the log is told once a stall."""
        before = self._stalled
        passed = min(now - self._looked_at, _AT_MOST)
        self._stalled = 0.0 if self._seen != self._pings else before + passed
        self._seen, self._looked_at = self._pings, now
        if before < self._warn <= self._stalled:
            log.error("loop stalled", seconds=round(self._stalled, 1), exception=_stacks())
        return self._stalled

    def _watch(self) -> None:
        self._looked_at = time.monotonic()
        while not self._is_over.wait(_LOOK):
            if self.look(time.monotonic()) >= self._limit:
                log.error("loop stalled for too long: this process ends", exit_code=STALLED)
                self._leave(STALLED)
                return


def _stacks() -> str:
    """Say where every thread is, the loop's first: a log line is cut at its end."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    main = threading.main_thread().ident
    frames = sorted(sys._current_frames().items(), key=lambda item: item[0] != main)  # noqa: SLF001
    return "\n".join(
        f"{names.get(ident, ident)}:\n{''.join(traceback.format_stack(frame)[-12:])}"
        for ident, frame in frames
        if ident != threading.get_ident()
    )
