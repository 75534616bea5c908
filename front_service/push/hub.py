"""Who watches which job in this process, and the handing-out of what the store said.

The hub reads nothing and waits for nobody: a watcher is given a look and woken. One that does
not keep up loses looks, never events: it is told that it lags, and catches up from the store.
"""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from front_service.push.story import Look
from shared.contract.ids import JobId, TenantId

_MOST_LOOKS: Final = 16


class Draining(Exception):
    """This replica is about to stop; whoever watches should come back to another."""


class Watcher:
    """One stream's place in the hub: what it has still to take."""

    def __init__(self, tenant: TenantId, job_id: JobId) -> None:
        self.tenant, self.job_id = tenant, job_id
        self._looks: list[Look] = []
        self._lags = False
        self._drains = False
        self._wake = asyncio.Event()

    def offer(self, look: Look) -> None:
        """Take *look*, without ever waiting; the newest progress wins over an older one."""
        if self._looks and not self._looks[-1].events:
            self._looks[-1] = look
        elif len(self._looks) < _MOST_LOOKS:
            self._looks.append(look)
        else:
            self._looks.clear()
            self._lags = True
        self._wake.set()

    def drain(self) -> None:
        self._drains = True
        self._wake.set()

    async def take(self) -> tuple[list[Look], bool]:
        """Wait for looks; the second value says that some were lost. Raises ``Draining``."""
        await self._wake.wait()
        if self._drains:
            raise Draining
        self._wake.clear()
        looks, lags = self._looks, self._lags
        self._looks, self._lags = [], False
        return looks, lags


class Watched:
    """A job that somebody of one tenant watches."""

    def __init__(self, now: float) -> None:
        self.watchers: set[Watcher] = set()
        self.sequence = 0  # events up to here were handed out
        self.looked_at = now


class Hub:
    def __init__(self) -> None:
        self._jobs: dict[JobId, dict[TenantId, Watched]] = {}  # a stranger's place is his own
        self._is_draining = False
        self._goodbye = asyncio.Event()

    @contextmanager
    def watch(self, tenant: TenantId, job_id: JobId, now: float) -> Iterator[Watcher]:
        """Have a place while inside; everything stored from now on will be offered."""
        if self._is_draining:
            raise Draining
        watcher = Watcher(tenant, job_id)
        places = self._jobs.setdefault(job_id, {})
        watched = places.setdefault(tenant, Watched(now))
        watched.watchers.add(watcher)
        try:
            yield watcher
        finally:
            watched.watchers.discard(watcher)
            if not watched.watchers:
                places.pop(tenant, None)
            if not places:
                self._jobs.pop(job_id, None)

    def get(self, tenant: TenantId, job_id: JobId) -> Watched | None:
        return self._jobs.get(job_id, {}).get(tenant)

    def is_waited_for(self, job_id: JobId, sequence: int) -> bool:
        """Whether somebody watches the job and may not have heard of its event *sequence*."""
        places = self._jobs.get(job_id)
        return places is not None and any(one.sequence <= sequence for one in places.values())

    def places(self, job_ids: Iterable[JobId], now: float) -> dict[tuple[TenantId, JobId], int]:
        """Say from which number on each of *job_ids* is to be read; it is about to be."""
        places = {}
        for job_id in job_ids:
            for tenant, watched in self._jobs.get(job_id, {}).items():
                watched.looked_at = now
                places[tenant, job_id] = watched.sequence
        return places

    def hand_out(self, look: Look) -> None:
        """Offer *look* to everybody of its tenant who watches its job."""
        watched = self.get(look.job.tenant, look.job.id)
        if watched is None:
            return
        if look.events:
            watched.sequence = max(watched.sequence, look.events[-1].sequence)
        for watcher in watched.watchers:
            watcher.offer(look)

    @property
    def is_watching(self) -> bool:
        """Whether anybody watches anything."""
        return bool(self._jobs)

    def watched(self) -> Iterable[JobId]:
        return tuple(self._jobs)

    def silent_since(self, moment: float) -> list[JobId]:
        """List the watched jobs that nobody has looked at since *moment*."""
        return [
            job_id
            for job_id, places in self._jobs.items()
            if any(one.looked_at <= moment for one in places.values())
        ]

    def drain(self) -> None:
        """Wake every watcher with ``Draining``, and take no more."""
        self._is_draining = True
        self._goodbye.set()
        for watched in self._all():
            for watcher in watched.watchers:
                watcher.drain()

    @property
    def is_draining(self) -> bool:
        return self._is_draining

    async def drained(self) -> None:
        """Wait for the drain, and raise ``Draining``: for who is here but watches nothing."""
        await self._goodbye.wait()
        raise Draining

    def _all(self) -> Iterator[Watched]:
        return (watched for places in self._jobs.values() for watched in places.values())

    def __len__(self) -> int:
        return sum(len(watched.watchers) for watched in self._all())
