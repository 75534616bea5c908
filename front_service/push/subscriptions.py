"""The jobs and batches that one socket follows, and what its client may do to them.

Each job has a task of its own, which tells its story as a socket for one job would; what is sent
takes turns, so that however many tell at once, a slow reader costs one frame beyond its buffer.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import ExitStack
from typing import Final, Protocol

from front_service.lookup import read_job_id
from front_service.push.batches import BatchStreams, read_batch_id
from front_service.push.commands import (
    MOST_BATCHES,
    MOST_JOBS,
    Cancel,
    Event,
    SocketError,
    SocketNotice,
    Subscribe,
    Unsubscribe,
    read_command,
    written,
)
from front_service.push.followed import Followed
from front_service.push.stream import Frames, Stream, Streams
from front_service.refusals import Forbidden
from shared.contract.errors import Gone, OverQuota, UketsukeError
from shared.contract.ids import BatchId, JobId, TenantId
from shared.contract.jobs import JobView
from shared.contract.states import State

Send = Callable[[bytes], Awaitable[None]]
Said = Subscribe | Unsubscribe | Cancel

_LONGEST_ECHO: Final = 36
_TOO_MANY: Final = f"One socket follows at most {MOST_JOBS} jobs."
_TOO_LARGE: Final = (
    f"The batch has more than the {MOST_JOBS} jobs that one socket follows. How far it is, and its "
    "ending, is told at its own address, however large it is."
)


class Cancels(Protocol):
    async def cancel(self, tenant: TenantId, text: str, *, collection: str | None) -> JobView:
        """As ``Control.cancel``."""


class Subscriptions:
    """*check* raises for a job that this reader may not follow."""

    def __init__(
        self,
        *,
        tenant: TenantId,
        streams: Streams,
        batches: BatchStreams,
        control: Cancels | None,
        send: Send,
        tasks: asyncio.TaskGroup,
        check: Callable[[str], None],
    ) -> None:
        self._tenant, self._streams, self._control = tenant, streams, control
        self._open_batches = batches
        self._deliver, self._check = send, check
        self._jobs = Followed[JobId](tasks, self._tell)
        self._batches = Followed[BatchId](tasks, self._tell_batch)
        self._jobs_of: dict[BatchId, Collection[JobId]] = {}
        self.turn = asyncio.Lock()
        """Whoever holds it may send."""

    async def send(self, body: bytes) -> None:
        """Send a frame when it is its turn."""
        async with self.turn:
            await self._deliver(body)

    async def take(self, text: str) -> None:
        """Do what the client says, and answer it; whatever is wrong is told, and no more."""
        try:
            command = read_command(text)
        except UketsukeError as error:
            await self._complain(error, None)
            return
        try:
            match command:
                case Subscribe():
                    await self._subscribe(command)
                case Unsubscribe():
                    await self._unsubscribe(command)
                case Cancel():
                    await self._cancel(command)
        except UketsukeError as error:
            await self._complain(error, command)

    async def _subscribe(self, command: Subscribe) -> None:
        if command.batch is not None:
            await self._subscribe_to_batch(command.batch, command)
            return
        if command.tag is None:
            wanted = [id_ for text in command.jobs if (id_ := await self._named(text, command))]
        else:
            wanted = await self._tagged(command.tag)
        await self._subscribe_to(wanted, command)

    async def _subscribe_to_batch(self, text: str, command: Subscribe) -> None:
        """Follow a batch, and all of its jobs: those that have ended are told once."""
        self._check(text)
        with ExitStack() as undo:
            stream = await self._open_batches.open_in(undo, self._tenant, text)
            batch_id = read_batch_id(text)
            if batch_id not in self._batches and len(self._batches) >= MOST_BATCHES:
                raise OverQuota(f"One socket follows at most {MOST_BATCHES} batches.")
            jobs = await self._streams.of_batch(self._tenant, batch_id, most=MOST_JOBS + 1)
            if len(jobs) > MOST_JOBS:
                raise OverQuota(_TOO_LARGE)
            await self._subscribe_to(jobs, command)
            self._jobs_of[batch_id] = jobs
            if batch_id not in self._batches:
                self._batches.start(batch_id, stream, undo.pop_all())

    async def _subscribe_to(self, wanted: Sequence[JobId], command: Subscribe) -> None:
        new = [job_id for job_id in dict.fromkeys(wanted) if job_id not in self._jobs]
        if len(self._jobs) + len(new) > MOST_JOBS:
            raise OverQuota(_TOO_MANY)
        after = {job_id: command.after.get(str(job_id)) for job_id in new}
        streams, places = await self._open(after)
        followed = {job_id for job_id in wanted if job_id in streams or job_id in self._jobs}
        try:
            await self._notice("subscribed", followed, command)
        except BaseException:
            for place in places.values():
                place.close()
            raise
        for job_id, stream in streams.items():
            self._jobs.start(job_id, stream, places[job_id])
        for job_id in new:
            if job_id not in streams:
                error = await self._streams.why_not(self._tenant, job_id)
                await self._complain(error, command, str(job_id))

    async def _named(self, text: str, command: Subscribe) -> JobId | None:
        try:
            self._check(text)
            return read_job_id(text)
        except UketsukeError as error:
            await self._complain(error, command, text)
            return None

    async def _tagged(self, tag: str) -> list[JobId]:
        found = await self._streams.tagged(self._tenant, tag, most=MOST_JOBS + 1)
        for job_id in found:
            self._check(str(job_id))
        return found

    async def _open(
        self, after: dict[JobId, int | None]
    ) -> tuple[dict[JobId, Stream], dict[JobId, ExitStack]]:
        """Take places in the hub, then read all jobs in one question."""
        with ExitStack() as undo:
            places = {job_id: undo.enter_context(ExitStack()) for job_id in after}
            streams = await self._streams.open_many(self._tenant, after, places)
            for job_id in after.keys() - streams.keys():
                places.pop(job_id).close()
            undo.pop_all()
        return streams, places

    async def _tell(self, job_id: JobId, stream: Frames) -> None:
        try:
            await self._tell_all(stream)
        except Gone as error:
            await self._complain(error, None, str(job_id))

    async def _tell_batch(self, batch_id: BatchId, stream: Frames) -> None:
        try:
            await self._tell_all(stream)
        except Gone as error:
            await self._complain(error, None, batch=str(batch_id))
        finally:
            self._jobs_of.pop(batch_id, None)

    async def _tell_all(self, stream: Frames) -> None:
        while not stream.is_over:
            for frame in await stream.next():
                await self.send(frame.body)

    async def _unsubscribe(self, command: Unsubscribe) -> None:
        """Leave what is named; after the answer there are no more frames of it."""
        named = {str(job_id): job_id for job_id in self._jobs}
        left = [named[text] for text in command.jobs if text in named]
        batches = [one for one in self._batches if command.batch in (None, str(one))]
        if command.batch is not None:
            theirs = {job_id for one in batches for job_id in self._jobs_of.get(one, ())}
            left = [job_id for job_id in self._jobs if job_id in theirs]
        elif not command.jobs:
            left = list(self._jobs)
        await self._jobs.leave(left)
        if not command.jobs:
            await self._batches.leave(batches)
        await self._notice("unsubscribed", left, command)

    async def _cancel(self, command: Cancel) -> None:
        for text in dict.fromkeys(command.jobs):
            try:
                self._check(text)
                job = await self._cancelled(text)
            except UketsukeError as error:
                await self._complain(error, command, text)
                continue
            is_over = job.state is State.CANCELLED
            await self._notice("cancelled" if is_over else "cancelling", [job.id], command)

    async def _cancelled(self, text: str) -> JobView:
        if self._control is None:
            raise Forbidden("This caller may not cancel.")
        return await self._control.cancel(self._tenant, text, collection=None)

    async def _notice(
        self,
        event: Event,
        jobs: Collection[JobId],
        command: Said,
    ) -> None:
        told = tuple(sorted(map(str, jobs)))
        batch = None if isinstance(command, Cancel) else command.batch
        await self.send(written(SocketNotice(event=event, jobs=told, batch=batch, id=command.id)))

    async def _complain(
        self,
        error: UketsukeError,
        command: Said | None,
        job_id: str | None = None,
        *,
        batch: str | None = None,
    ) -> None:
        if batch is None and job_id is None and isinstance(command, Subscribe):
            batch = command.batch
        trouble = SocketError(
            code=error.code,
            error=error.detail,
            op=None if command is None else command.op,
            job_id=None if job_id is None else job_id[:_LONGEST_ECHO],
            batch_id=None if batch is None else batch[:_LONGEST_ECHO],
            id=None if command is None else command.id,
        )
        await self.send(written(trouble))
