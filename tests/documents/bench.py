"""A handler's context in memory, with the real children and the real store of blobs."""

import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from back_service.handlers.documents import process
from back_service.offload import Offload
from shared.blobs.store import BlobStore
from shared.contract.authoring import Blob
from shared.contract.errors import TooLarge, UnknownBlob
from shared.contract.files import FileReference
from shared.contract.ids import THE_TENANT, BlobId, TrackId
from shared.job_types.documents import DocumentAnalysis, DocumentRequest
from shared.runtime.clock import fresh_blob_id, fresh_job_id
from uketsuke import Fail

P = ParamSpec("P")
T = TypeVar("T")


class BenchContext:
    """One attempt, as the handler sees it; *said* is its progress."""

    def __init__(self, offload: Offload, blobs: BlobStore, folder: Path, attempt: int) -> None:
        self._offload, self._blobs, self._folder = offload, blobs, folder
        self.job_id, self.tenant, self.track_id = fresh_job_id(), THE_TENANT, TrackId("t")
        self.type, self.attempt, self.max_attempts = "documents.process", attempt, 3
        self.idempotency_key, self.checkpoint = str(self.job_id), None
        self.said: list[tuple[float, str]] = []

    @property
    def folder(self) -> Path:
        return self._folder

    async def progress(self, percent: float, message: str = "") -> None:
        self.said.append((percent, message))

    async def save_checkpoint(self, _data: Any) -> None:
        raise AssertionError("documents have no checkpoints")

    async def once(self, name: str) -> bool:
        raise AssertionError(f"documents have no effects, and {name} is one")

    async def fetch(self, file: FileReference, *, most_bytes: int) -> Path:
        path = self._folder / "fetched"
        if file.blob_id is None:
            raise AssertionError("these tests hand in blobs")
        try:
            await self._blobs.copy_to(file.blob_id, path, most_bytes=most_bytes)
        except UnknownBlob as error:
            raise Fail("file_not_found", "gone") from error
        except TooLarge as error:
            raise Fail("file_too_large", "too large") from error
        return path

    async def keep(self, path: Path, *, name: str, content_type: str) -> Blob:
        blob_id = fresh_blob_id()
        stored = await self._blobs.put_file(blob_id, path, most_bytes=2**30)
        return Blob(
            id=blob_id,
            name=name,
            content_type=content_type,
            size_bytes=stored.size_bytes,
            sha256=stored.sha256,
        )

    async def open_blob(self, blob_id: BlobId) -> AsyncIterator[bytes]:
        async for chunk in self._blobs.open(blob_id):
            yield chunk

    async def offload(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._offload.call(function, args, kwargs, memory_bytes=2**30)

    async def run_program(
        self, argv: Sequence[str], *, environment: Mapping[str, str] | None = None
    ) -> int:
        return await self._offload.run_program(argv, self._folder, environment)


class Bench:
    """Runs ``documents.process`` on bytes."""

    def __init__(self, offload: Offload, blobs: BlobStore) -> None:
        self.offload, self._blobs = offload, blobs

    @asynccontextmanager
    async def attempt(self, number: int = 1) -> AsyncIterator[BenchContext]:
        with tempfile.TemporaryDirectory() as folder:
            yield BenchContext(self.offload, self._blobs, Path(folder), number)

    async def upload(self, body: bytes) -> FileReference:
        async def chunks() -> AsyncIterator[bytes]:
            yield body

        blob_id = fresh_blob_id()
        await self._blobs.put(blob_id, chunks(), most_bytes=2**30)
        return FileReference.to_blob(blob_id)

    async def process(self, body: bytes, *, attempt: int = 1, **options: Any) -> DocumentAnalysis:
        request = DocumentRequest.model_validate(
            {"document": await self.upload(body), "options": options}
        )
        async with self.attempt(attempt) as context:
            return await process(context, request)

    async def failure(self, body: bytes, *, attempt: int = 1) -> str:
        """Answer the code with which *body* fails."""
        try:
            await self.process(body, attempt=attempt, report=[])
        except Fail as error:
            return error.code
        raise AssertionError("the document was read")

    async def content(self, url: str) -> bytes:
        blob_id = FileReference("blob:" + url.rpartition("/")[2]).blob_id
        if blob_id is None:
            raise AssertionError(url)
        return b"".join([chunk async for chunk in self._blobs.open(blob_id)])
