"""Custody of the jobs that run here: renewed by heartbeat, given up before it could lapse.

A worker counts its lease from *before* it asked, on its own monotonic clock, so that a slow
answer only shortens it. Here too a running handler learns that it shall stop.
"""

import asyncio
from datetime import timedelta
from enum import Enum
from math import inf
from typing import Final, Self

import structlog

from shared.contract.errors import Unavailable
from shared.contract.ids import JobId
from shared.contract.jobs import Job
from shared.contract.states import State
from shared.runtime.clock import Clock
from shared.store.pool import Rejected
from shared.store.work import WorkStore

log = structlog.get_logger()

_TICK: Final = 0.25  # seconds: how late a timeout may come, and half of how late a cancel
_MARGIN: Final = 0.2  # of the lease: given up that much before the database would
_AGAIN: Final = 2.0  # seconds between two tellings: a handler that cleans up must get somewhere
_RENEWALS: Final = 3  # in a lease
_SLACK: Final = 0.6  # seconds: of the lease that is left, for a stall to be seen and ended
_LEAST_STALL: Final = 1.2  # seconds: what a busy machine does to a loop that is well
_GRACE: Final = 10.0  # seconds for a handler to end after it was told; then its lease may lapse


def longest_stall(lease: timedelta) -> timedelta:
    """Say how long the loop may stand still and no lease lapses, even right before a renewal.

    That cannot be kept for leases of less than about three seconds.
    """
    oldest = lease.total_seconds() / _RENEWALS + 2 * _TICK
    return timedelta(seconds=max(_LEAST_STALL, lease.total_seconds() - oldest - _SLACK))


class Cause(Enum):
    """Why a handler is stopped from outside."""

    CANCEL = "cancel"  # somebody asked for it
    DRAIN = "drain"  # this worker is leaving
    LOST = "lost"  # the lease is not ours any more
    TIMEOUT = "timeout"  # the attempt has taken as long as its type allows


class Fenced(asyncio.CancelledError):
    """The store has refused a write of this attempt: it is to end, and nothing may swallow that."""


class Held:
    """One running job and its lease, given up at the end of the ``with`` block."""

    def __init__(self, job: Job, book: dict[JobId, "Held"], *, ends_at: float, now: float) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  a coroutine always runs in one
        self.job, self.ends_at = job, ends_at
        self.cause: Cause | None = None
        self.times_out_at = inf
        self._task, self._book, self._since = task, book, now
        self._told_at = 0.0
        self._cancelled_at = -inf
        self._runs = False

    def __enter__(self) -> Self:
        self._book[self.job.id] = self
        return self

    def __exit__(self, *_: object) -> None:
        if self._book.get(self.job.id) is self:
            del self._book[self.job.id]

    def begin(self, *, until: float) -> None:
        """Mark the part that may be stopped; it is by itself at *until*.

        Raises ``CancelledError`` if it was stopped before it began. One clock for all attempts:
        a timer each would cost more than a short attempt does.
        """
        if self.cause is not None:
            raise asyncio.CancelledError  # a cancel of the task might only meet the record
        self._runs, self.times_out_at = True, until

    def end(self) -> None:
        """Mark the end of that part: what comes after it is the record, and is not stopped."""
        self._runs, self.times_out_at = False, inf
        while self.cause is not None and self._task.cancelling():
            self._task.uncancel()  # or the next job of this lane would pass for cancelled

    def stop(self, cause: Cause, now: float) -> None:
        """Tell the handler to stop; telling again repeats the cancel it may have swallowed."""
        if self.cause is None or cause is Cause.LOST:
            self._told_at = self._told_at or now
            self.cause = cause
        if self._runs and now - self._cancelled_at >= _AGAIN:
            self._cancelled_at = now
            self._task.cancel()

    def is_deaf(self, now: float) -> bool:
        """Say whether the handler has gone on for longer than its grace."""
        return bool(self._told_at) and now - self._told_at > _GRACE

    def is_older(self, seconds: float, now: float) -> bool:
        return now - self._since > seconds


class Leases:
    """All leases of this worker. A service: it renews, and watches for cancels."""

    name = "leases"

    def __init__(self, work: WorkStore, *, lease: timedelta, clock: Clock) -> None:
        self._work, self._clock = work, clock
        self._ttl = lease.total_seconds() * (1 - _MARGIN)
        self._every = lease.total_seconds() / _RENEWALS
        self._held: dict[JobId, Held] = {}

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, job: Job, *, asked_at: float) -> Held:
        """Keep the lease of *job*, which was asked for at *asked_at* (monotonic), in a ``with``."""
        now = self._clock.monotonic()
        return Held(job, self._held, ends_at=asked_at + self._ttl, now=now)

    def interrupt(self) -> None:
        """Tell every handler that this worker is leaving."""
        now = self._clock.monotonic()
        for held in list(self._held.values()):
            held.stop(Cause.DRAIN, now)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep(), name="leases kept")
            group.create_task(self._watch(), name="leases watched")

    async def _watch(self) -> None:
        """Stop what has lost its lease or its time, whether the database answers or not."""
        while True:
            await asyncio.sleep(_TICK)
            self._give_up(self._clock.monotonic())

    async def _keep(self) -> None:
        renewed_at = self._clock.monotonic()
        is_told = False
        while True:
            await asyncio.sleep(2 * _TICK)
            now = self._clock.monotonic()
            try:
                if now - renewed_at >= self._every:
                    await self._renew(now)
                    renewed_at = now
                else:
                    await self._hear(now)
            except (Unavailable, Rejected) as error:
                if not is_told:
                    log.warning("leases not renewed", held=len(self._held), why=str(error))
                is_told = True
            else:
                is_told = False

    async def _renew(self, asked_at: float) -> None:
        held = {h.job.id: h for h in self._held.values() if not h.is_deaf(asked_at)}
        if not held:
            return
        states = await self._work.renew({job_id: h.job.token for job_id, h in held.items()})
        for job_id, one in held.items():
            if job_id not in states or states[job_id] is not None:  # else nobody knows yet
                self._judge(one, states.get(job_id), asked_at)

    def _judge(self, held: Held, state: State | None, asked_at: float) -> None:
        if self._held.get(held.job.id) is not held:
            return  # it ended while we asked
        if state is None:
            held.stop(Cause.LOST, asked_at)
            return
        held.ends_at = asked_at + self._ttl
        if state is State.CANCELLING:
            held.stop(Cause.CANCEL, asked_at)

    async def _hear(self, now: float) -> None:
        """Ask who was cancelled; what has just begun need not be asked about yet."""
        ids = [job_id for job_id, held in self._held.items() if held.is_older(_TICK, now)]
        if not ids:
            return
        for job_id in await self._work.cancelling(ids):
            if (held := self._held.get(job_id)) is not None:
                held.stop(Cause.CANCEL, now)

    def _give_up(self, now: float) -> None:
        for held in list(self._held.values()):
            if now > held.ends_at:
                held.stop(Cause.LOST, now)
            elif now > held.times_out_at:
                held.stop(Cause.TIMEOUT, now)
            elif held.cause is not None:
                held.stop(held.cause, now)
