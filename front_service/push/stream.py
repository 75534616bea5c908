"""Follow one job from a number on, over whatever carries it: WebSocket, server-sent events.

The order makes that nothing is missed: take a place in the hub, then read the store, then listen.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, asynccontextmanager
from typing import Final, Protocol

from front_service.lookup import ReadsJobs, read_job_id
from front_service.push.hub import Draining, Hub, Watcher
from front_service.push.listener import ReadsHistory
from front_service.push.story import Frame, Look, Story
from shared.contract.errors import Gone, Malformed, OverQuota, UketsukeError, Unavailable
from shared.contract.ids import BatchId, JobId, TenantId
from shared.contract.states import ENDINGS, State
from shared.runtime.clock import Clock
from shared.store.reads import Filters

_COME_BACK: Final = 5  # seconds
_PAUSE: Final = 1.0  # seconds, after the store did not answer
_LARGEST: Final = 2**31 - 1
_NUMBER = re.compile(r"[0-9]{1,18}")


class Reads(ReadsJobs, ReadsHistory, Protocol):
    """What a stream asks of the store."""


class Frames(Protocol):
    """The frames of one thing for one client, as whatever carries them takes them."""

    @property
    def is_over(self) -> bool:
        """Whether there will be no more."""

    @property
    def is_nothing_new(self) -> bool:
        """Whether all of them were seen already."""

    async def next(self) -> list[Frame]:
        """As ``Stream.next``."""


class Leaving:
    """Instead of frames, where a replica is about to stop: go to another one."""

    is_over: Final = False
    is_nothing_new: Final = False

    async def next(self) -> list[Frame]:
        raise Draining


class OpensStreams(Protocol):
    def open(
        self, tenant: TenantId, text: str, after: int | None
    ) -> AbstractAsyncContextManager[Frames]:
        """As ``Streams.open``."""


@asynccontextmanager
async def opened(
    streams: OpensStreams, tenant: TenantId, text: str, after: int | None
) -> AsyncIterator[Frames]:
    """Open a stream; where this replica is about to stop, one that sends its reader away.

    Who asks has a line that was open already. Refused, an ``EventSource`` would not dial again.
    """
    async with AsyncExitStack() as place:
        try:
            frames = await place.enter_async_context(streams.open(tenant, text, after))
        except Draining:
            frames = Leaving()
        yield frames


class Stream:
    """The frames of one job for one client."""

    def __init__(
        self, watcher: Watcher, reads: ReadsHistory, look: Look, after: int | None
    ) -> None:
        self._watcher, self._reads = watcher, reads
        self._story = Story()
        self._ready = self._story.begin(look, after)
        self.is_nothing_new = (
            look.job.has_ended and after is not None and (after >= look.job.sequence)
        )
        self._lags = self._story.is_behind

    @property
    def is_over(self) -> bool:
        """Whether the ending was told: there will be no more frames."""
        return self._story.is_over and not self._ready

    @property
    def has_ended(self) -> bool:
        """Whether there is a frame of the ending, sent or ready."""
        return self._story.is_over

    @property
    def told(self) -> int:
        """The number of the last event of which there is a frame, sent or ready."""
        return self._story.told

    async def next(self) -> list[Frame]:
        """Wait for frames. May be cancelled and asked again; raises ``Draining`` or ``Gone``."""
        while not self._ready and not self._story.is_over:
            if self._lags:
                await self._catch_up()
            else:
                await self._listen()
        frames, self._ready = self._ready, []
        return frames

    async def _listen(self) -> None:
        looks, lost = await self._watcher.take()
        self._lags = lost
        for look in looks:
            self._ready += self._story.go_on(look)
            self._lags = lost or self._story.is_behind

    async def _catch_up(self) -> None:
        place = self._watcher.tenant, self._watcher.job_id
        try:
            found = await self._reads.history({place: self._story.told})
        except Unavailable:
            await asyncio.sleep(_PAUSE)
            return
        if self._watcher.job_id not in found:
            raise Gone
        self._lags = False  # if it went on meanwhile, the listener has heard of that too
        self._ready += self._story.go_on(Look(*found[self._watcher.job_id]))


class Streams:
    """Opens streams: *most* at once, and besides *most_waiting* for requests that wait."""

    def __init__(
        self, hub: Hub, reads: Reads, clock: Clock, *, most: int, most_waiting: int
    ) -> None:
        self._hub, self._reads, self._clock = hub, reads, clock
        self._most, self._most_waiting = most, most_waiting
        self._open, self.waiting = 0, 0

    @asynccontextmanager
    async def open(self, tenant: TenantId, text: str, after: int | None) -> AsyncIterator[Stream]:
        """Follow the job that *text* names.

        Raises ``OverQuota``, ``UnknownJob`` or ``Gone`` before anything.
        """
        if self._open >= self._most:
            raise OverQuota("As many streams are open here as may be.", retry_after=_COME_BACK)
        self._open += 1
        try:
            async with self._follow(tenant, text, after) as stream:
                yield stream
        finally:
            self._open -= 1

    @asynccontextmanager
    async def _follow(
        self, tenant: TenantId, text: str, after: int | None
    ) -> AsyncIterator[Stream]:
        job_id = read_job_id(text)
        with self._hub.watch(tenant, job_id, self._clock.monotonic()) as watcher:
            found = await self._reads.history(
                {(tenant, job_id): _LARGEST if after is None else after}
            )
            if job_id in found:
                look = Look(*found[job_id])
            else:
                look = Look(await self._reads.job(tenant, job_id))
            yield Stream(watcher, self._reads, look, after)

    async def open_many(
        self,
        tenant: TenantId,
        after: Mapping[JobId, int | None],
        places: Mapping[JobId, ExitStack],
    ) -> dict[JobId, Stream]:
        """Follow several jobs, each until its place is closed; those that are not there lack."""
        now = self._clock.monotonic()
        watchers = {
            job_id: places[job_id].enter_context(self._hub.watch(tenant, job_id, now))
            for job_id in after
        }
        wanted = {
            (tenant, job_id): _LARGEST if seen is None else seen for job_id, seen in after.items()
        }
        found = await self._reads.history(wanted) if wanted else {}
        return {
            job_id: Stream(watchers[job_id], self._reads, Look(*look), after[job_id])
            for job_id, look in found.items()
        }

    async def why_not(self, tenant: TenantId, job_id: JobId) -> UketsukeError:
        """Say why a job cannot be followed that was not found."""
        try:
            await self._reads.job(tenant, job_id)
        except UketsukeError as error:
            return error
        return Unavailable("The job has just come. Try again.", retry_after=1)

    async def tagged(self, tenant: TenantId, tag: str, *, most: int) -> list[JobId]:
        """List the newest live jobs that bear *tag*."""
        living = [state for state in State if state not in ENDINGS]
        filters = Filters(states=living, tag=tag)
        return [job.id for job in await self._reads.jobs(tenant, filters, limit=most)]

    async def of_batch(self, tenant: TenantId, batch_id: BatchId, *, most: int) -> list[JobId]:
        """List the newest jobs of a batch, ended or not."""
        filters = Filters(batch=batch_id)
        return [job.id for job in await self._reads.jobs(tenant, filters, limit=most)]

    @property
    def is_draining(self) -> bool:
        return self._hub.is_draining

    async def drained(self) -> None:
        """As ``Hub.drained``."""
        await self._hub.drained()

    async def wait(
        self, tenant: TenantId, text: str, *, seconds: float, after: int | None = None
    ) -> None:
        """Return at the ending, or when there is an event past *after*, or when time is up.

        Too many who wait are not refused but answered at once. Raises ``UnknownJob``, ``Gone``.
        """
        if self.waiting >= self._most_waiting:
            return
        self.waiting += 1
        try:
            async with asyncio.timeout(seconds):
                await self._wait(tenant, text, after)
        except (TimeoutError, Draining):
            pass
        finally:
            self.waiting -= 1

    async def _wait(self, tenant: TenantId, text: str, after: int | None) -> None:
        async with self._follow(tenant, text, None) as stream:
            while not stream.has_ended and (after is None or stream.told <= after):
                await stream.next()


def read_after(text: str | None) -> int | None:
    """Read ``?after=``: the last number that a client saw."""
    return None if text is None else read_number(text, "after")


def read_number(text: str, name: str) -> int:
    """Read a whole number of a query, not below zero; raise ``Malformed``."""
    if not _NUMBER.fullmatch(text):
        raise Malformed(f"{name} must be a whole number.")
    return min(_LARGEST, int(text))
