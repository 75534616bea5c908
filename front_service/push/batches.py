"""Who watches which batch in this process, and the handing-out of what the store says of it.

A batch has two events: it was accepted, it is completed. Between them its progress is read when
there is news of it, and now and then without; of several readings only the newest counts.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Final, Protocol

import structlog

from front_service.push.hub import Draining
from front_service.push.story import Frame
from shared.contract.batches import COMPLETED, BatchView, batch_document
from shared.contract.errors import Gone, Unavailable, UnknownBatch
from shared.contract.events import decode_news
from shared.contract.ids import BatchId, JobId, TenantId, parse_uuid
from shared.contract.status import dump
from shared.store.pool import Rejected

log: Final = structlog.get_logger()

_SILENCE: Final = 3.0  # seconds without news after which a watched batch is read all the same
_REST: Final = 0.2  # seconds between two readings of one batch, however many watch it
_PAUSE: Final = 1.0  # seconds, after the store did not answer


class ReadsBatches(Protocol):
    async def batch(self, tenant: TenantId, batch_id: BatchId) -> BatchView:
        """As ``BatchRows.batch``."""


class _Watcher:
    """One stream's place: the newest reading that it has still to take."""

    def __init__(self) -> None:
        self._view: BatchView | None = None
        self._trouble: Exception | None = None
        self._wake = asyncio.Event()

    def offer(self, view: BatchView) -> None:
        self._view = view
        self._wake.set()

    def end(self, trouble: Exception) -> None:
        self._trouble = trouble
        self._wake.set()

    async def take(self) -> BatchView:
        """Wait for a reading; raise ``Draining`` or ``Gone``."""
        while self._view is None:
            if self._trouble is not None:
                raise self._trouble
            await self._wake.wait()
            self._wake.clear()
        view, self._view = self._view, None
        return view


class _Watched:
    """A batch that somebody watches, and the one task that reads it for all of them."""

    def __init__(self, tenant: TenantId, batch_id: BatchId, reads: ReadsBatches) -> None:
        self.watchers: set[_Watcher] = set()
        self.news = asyncio.Event()
        self._place, self._reads = (tenant, batch_id), reads
        self.task = asyncio.create_task(self._run(), name="batch")

    async def _run(self) -> None:
        is_over = False
        while not is_over:
            await self._wait()
            try:
                view = await self._reads.batch(*self._place)
            except (Unavailable, Rejected) as error:
                log.warning("watched batch not read", why=str(error))
                await asyncio.sleep(_PAUSE)
                continue
            except (UnknownBatch, Gone):
                self.end(Gone("The batch has been cleaned up"))
                return
            for watcher in tuple(self.watchers):
                watcher.offer(view)
            is_over = view.has_ended
            await asyncio.sleep(_REST)

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(_SILENCE):
                await self.news.wait()
        except TimeoutError:
            pass
        self.news.clear()

    def end(self, trouble: Exception) -> None:
        for watcher in tuple(self.watchers):
            watcher.end(trouble)


class BatchStream:
    """The frames of one batch for one client; used as ``Stream`` is."""

    def __init__(self, watcher: _Watcher, view: BatchView, after: int | None) -> None:
        self._watcher = watcher
        self._said = b""
        self._has_ended = False
        self.is_nothing_new = after is not None and after >= COMPLETED and view.has_ended
        self._ready = self._tell(view, is_first=after is None)

    @property
    def is_over(self) -> bool:
        """Whether the ending was told: there will be no more frames."""
        return self._has_ended and not self._ready

    async def next(self) -> list[Frame]:
        """Wait for frames. May be cancelled and asked again; raises ``Draining`` or ``Gone``."""
        while not self._ready and not self._has_ended:
            self._ready = self._tell(await self._watcher.take(), is_first=False)
        frames, self._ready = self._ready, []
        return frames

    def _tell(self, view: BatchView, *, is_first: bool) -> list[Frame]:
        """Tell *view* unless that was said already; only the two events have a number."""
        body = dump(batch_document(view))
        if body == self._said:
            return []
        self._said, self._has_ended = body, view.has_ended
        return [Frame(body, view.sequence if is_first or view.has_ended else None)]


class BatchStreams:
    """Opens streams of batches, and hears that something happened to one."""

    def __init__(self, reads: ReadsBatches) -> None:
        self._reads = reads
        self._batches: dict[JobId, _Watched] = {}
        self._is_draining = False

    def hear(self, body: bytes) -> None:
        """Take a message of the fan-out; what nobody watches is passed over."""
        if not self._batches:
            return
        for news in decode_news(body):
            watched = self._batches.get(news.job_id)
            if watched is not None:
                watched.news.set()

    def drain(self) -> None:
        """Wake every watcher with ``Draining``, and take no more."""
        self._is_draining = True
        for watched in self._batches.values():
            watched.end(Draining())

    @asynccontextmanager
    async def open(
        self, tenant: TenantId, text: str, after: int | None
    ) -> AsyncIterator[BatchStream]:
        """Follow the batch that *text* names; raise ``UnknownBatch`` or ``Gone`` first."""
        with ExitStack() as place:
            yield await self.open_in(place, tenant, text, after)

    async def open_in(
        self, place: ExitStack, tenant: TenantId, text: str, after: int | None = None
    ) -> BatchStream:
        """Follow a batch as ``open`` does, until *place* is closed."""
        if self._is_draining:
            raise Draining
        batch_id = read_batch_id(text)
        view = await self._reads.batch(tenant, batch_id)  # a stranger's is not watched at all
        return BatchStream(place.enter_context(self._watch(tenant, batch_id)), view, after)

    @contextmanager
    def _watch(self, tenant: TenantId, batch_id: BatchId) -> Iterator[_Watcher]:
        name, watcher = JobId(batch_id), _Watcher()
        watched = self._batches.get(name)
        if watched is None:
            watched = self._batches[name] = _Watched(tenant, batch_id, self._reads)
        watched.watchers.add(watcher)
        watched.news.set()  # for what happened between the reading and now
        try:
            yield watcher
        finally:
            watched.watchers.discard(watcher)
            if not watched.watchers and self._batches.get(name) is watched:
                del self._batches[name]
                watched.task.cancel()


def read_batch_id(text: str) -> BatchId:
    """Read the canonical form only; whatever else was never a batch of ours."""
    found = parse_uuid(text)
    if found is None:
        raise UnknownBatch
    return BatchId(found)
