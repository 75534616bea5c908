"""What a handler sees of its job and of the world: the real thing behind ``Context``.

Made anew for each attempt, and cheap: whatever costs something is made when it is first used.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final, ParamSpec, Protocol, TypeVar

import orjson
import structlog
from pydantic import BaseModel

from back_service.child import JobFacts
from back_service.leases import Fenced
from back_service.offload import Offload
from back_service.progress import ProgressBoard
from shared.blobs.store import BlobStore
from shared.contract.authoring import Blob, Fail, Handler, Retry
from shared.contract.errors import TooLarge, Unavailable, UnknownBlob
from shared.contract.files import FileReference
from shared.contract.ids import BlobId
from shared.contract.job_types import JobType
from shared.contract.jobs import Job
from shared.runtime.clock import fresh_blob_id
from shared.store.blobs import BlobRows
from shared.store.work import WorkStore

P = ParamSpec("P")
T = TypeVar("T")

log = structlog.get_logger()

_MOST_CHECKPOINT: Final = 2**20
_MOST_KEPT: Final = 2**30
_FIRST_PAUSE: Final = 0.1  # seconds, while the database is away
_LONGEST_PAUSE: Final = 2.0


class Fetcher(Protocol):
    async def fetch(self, url: str, path: Path, *, most_bytes: int) -> None:
        """Bring the file at *url* to *path*; raise ``Fail`` or ``Retry`` if that cannot be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What all attempts of a worker share."""

    work: WorkStore
    board: ProgressBoard
    blobs: BlobStore
    blob_rows: BlobRows
    offload: Offload
    fetcher: Fetcher
    scratch: Path  # where private folders are made
    child_memory: int


class AttemptContext:
    """One attempt's ``Context``."""

    def __init__(self, job: Job, job_type: JobType, tools: Tools) -> None:
        self._job, self._type, self._tools = job, job_type, tools
        self._percent = 0.0
        self._folder: Path | None = None
        self.job_id, self.tenant, self.track_id = job.id, job.tenant, job.track_id
        self.type, self.attempt, self.max_attempts = job.type, job.attempt, job.max_attempts

    @property
    def idempotency_key(self) -> str:
        return str(self.job_id)

    @property
    def checkpoint(self) -> Any:
        return None if self._job.checkpoint is None else orjson.loads(self._job.checkpoint)

    @property
    def folder(self) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="attempt-", dir=self._tools.scratch))
        return self._folder

    async def progress(self, percent: float, message: str = "") -> None:
        percent = float(percent)
        if not 0 <= percent <= 100:  # noqa: PLR2004  a percentage; also refuses NaN
            raise ValueError("progress is a number from 0 to 100")
        self._percent = max(self._percent, percent)
        self._tools.board.report(self._job, self._percent, str(message))

    async def save_checkpoint(self, data: Any) -> None:
        body = orjson.dumps(data)
        if len(body) > _MOST_CHECKPOINT:
            raise ValueError(f"a checkpoint may have {_MOST_CHECKPOINT} bytes")
        if not await steadily(lambda _: self._tools.work.save_checkpoint(self._job, body)):
            raise self._fenced("checkpoint")

    async def once(self, name: str) -> bool:
        is_first = await steadily(
            lambda tries: self._tools.work.note_effect(self._job, name, again=tries > 0)
        )
        if is_first is None:
            raise self._fenced("effect")
        return is_first

    async def fetch(self, file: FileReference, *, most_bytes: int) -> Path:
        path = self.folder / f"{os.urandom(8).hex()}.fetched"
        blob_id = file.blob_id
        if blob_id is None:
            await self._tools.fetcher.fetch(str(file), path, most_bytes=most_bytes)
            return path
        try:
            await steadily(lambda _: self._tools.blob_rows.get(self.tenant, blob_id))
            await self._tools.blobs.copy_to(blob_id, path, most_bytes=most_bytes)
        except UnknownBlob as error:
            raise Fail("file_not_found", "The uploaded file is not there any more") from error
        except TooLarge as error:
            raise Fail("file_too_large", f"A file may have {most_bytes} bytes here") from error
        except Unavailable as error:
            raise Retry("The store of files does not answer") from error
        return path

    async def keep(self, path: Path, *, name: str, content_type: str) -> Blob:
        blob_id = fresh_blob_id()
        try:
            stored = await self._tools.blobs.put_file(blob_id, path, most_bytes=_MOST_KEPT)
            blob = Blob(
                id=blob_id,
                name=name,
                content_type=content_type,
                size_bytes=stored.size_bytes,
                sha256=stored.sha256,
            )
            await steadily(lambda _: self._tools.blob_rows.add(self.tenant, blob, self.job_id))
        except Unavailable as error:
            raise Retry("The store of files does not answer") from error
        except TooLarge as error:
            raise Fail("file_too_large", str(error)) from error
        return blob

    async def open_blob(self, blob_id: BlobId) -> AsyncIterator[bytes]:
        await steadily(lambda _: self._tools.blob_rows.get(self.tenant, blob_id))
        async for chunk in self._tools.blobs.open(blob_id):
            yield chunk

    async def offload(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._tools.offload.call(
            function, args, kwargs, memory_bytes=self._memory_bytes
        )

    async def run_program(
        self, argv: Sequence[str], *, environment: Mapping[str, str] | None = None
    ) -> int:
        return await self._tools.offload.run_program(
            argv, self.folder, environment, memory_bytes=self._memory_bytes
        )

    async def handle(self, handler: Handler, request: BaseModel) -> object:
        """Run a handler whose isolation is a child process."""
        facts = JobFacts(
            job_id=self.job_id,
            tenant=self.tenant,
            track_id=self.track_id,
            type=self.type,
            attempt=self.attempt,
            max_attempts=self.max_attempts,
            idempotency_key=self.idempotency_key,
            checkpoint=self.checkpoint,
            folder=self.folder,
        )
        return await self._tools.offload.handle(
            handler,
            facts,
            request,
            self.progress,
            self.save_checkpoint,
            memory_bytes=self._memory_bytes,
        )

    def _fenced(self, write: str) -> Fenced:
        log.warning("late write refused", job_id=str(self.job_id), write=write)
        return Fenced()

    async def tell_last(self) -> None:
        """Tell how far it came, before it is told that it failed."""
        await self._tools.board.tell_last(self._job)

    async def close(self) -> None:
        """Remove the private folder and what was not told yet."""
        self._tools.board.forget(self._job)
        if self._folder is not None:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, self._folder, True))

    @property
    def _memory_bytes(self) -> int:
        return self._type.memory_bytes or self._tools.child_memory


async def steadily(ask: Callable[[int], Awaitable[T]]) -> T:
    """Ask until the database answers; *ask* is told how often it has been tried before.

    An outage is no fault of the handler. When it lasts too long the lease is lost, and with it
    the attempt is cancelled here.
    """
    pause = _FIRST_PAUSE
    for tries in count():
        try:
            return await ask(tries)
        except Unavailable:
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE, pause * 2)
    raise AssertionError("unreachable")
