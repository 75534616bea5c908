"""The world of a handler, in memory: what its ``Context`` promises, and nothing behind it."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar
from uuid import uuid4

from shared.contract.files import FileReference
from shared.contract.ids import THE_TENANT, BlobId, JobId, TenantId, TrackId
from uketsuke import Blob, Context

P = ParamSpec("P")
T = TypeVar("T")

_TRACK_ID: Final = TrackId("track-1")


@dataclass(kw_only=True)
class PlainContext:
    """One attempt; the next one is made by ``again``."""

    folder: Path
    checkpoint: Any = None
    attempt: int = 1
    job_id: JobId = field(default_factory=lambda: JobId(uuid4()))
    tenant: TenantId = THE_TENANT
    track_id: TrackId = _TRACK_ID
    type: str = "invoices.any"
    max_attempts: int = 10
    told: list[tuple[float, str]] = field(default_factory=list)
    kept: dict[str, bytes] = field(default_factory=dict)
    saved: list[Any] = field(default_factory=list)
    effects: set[str] = field(default_factory=set)

    @property
    def idempotency_key(self) -> str:
        return str(self.job_id)

    def again(self) -> "PlainContext":
        """Make the context of the next attempt of the same job."""
        return PlainContext(
            folder=self.folder,
            checkpoint=self.saved[-1] if self.saved else self.checkpoint,
            attempt=self.attempt + 1,
            job_id=self.job_id,
            effects=self.effects,
        )

    async def progress(self, percent: float, message: str = "") -> None:
        assert 0 <= percent <= 100
        self.told.append((percent, message))

    async def save_checkpoint(self, data: Any) -> None:
        self.saved.append(data)

    async def once(self, name: str) -> bool:
        is_first = name not in self.effects
        self.effects.add(name)
        return is_first

    async def fetch(self, file: FileReference, *, most_bytes: int) -> Path:
        raise NotImplementedError

    async def keep(self, path: Path, *, name: str, content_type: str) -> Blob:
        body = await asyncio.to_thread(path.read_bytes)
        self.kept[name] = body
        return Blob(
            id=BlobId(uuid4()),
            name=name,
            content_type=content_type,
            size_bytes=len(body),
            sha256=hashlib.sha256(body).hexdigest(),
        )

    def open_blob(self, blob_id: BlobId) -> AsyncIterator[bytes]:
        raise NotImplementedError

    async def offload(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.to_thread(function, *args, **kwargs)

    async def run_program(
        self, argv: Sequence[str], *, environment: Mapping[str, str] | None = None
    ) -> int:
        raise NotImplementedError


@dataclass(kw_only=True)
class PlainChildContext:
    """What a handler in a child process is given, without the process."""

    folder: Path
    checkpoint: Any = None
    attempt: int = 1
    job_id: JobId = field(default_factory=lambda: JobId(uuid4()))
    tenant: TenantId = THE_TENANT
    track_id: TrackId = _TRACK_ID
    type: str = "invoices.any"
    max_attempts: int = 10
    idempotency_key: str = "key"
    told: list[tuple[float, str]] = field(default_factory=list)
    saved: list[Any] = field(default_factory=list)

    def progress(self, percent: float, message: str = "") -> None:
        assert 0 <= percent <= 100
        self.told.append((percent, message))

    def save_checkpoint(self, data: Any) -> None:
        self.saved.append(data)


def as_context(plain: PlainContext) -> Context:
    """Have the type checker compare what is here with what a handler is promised."""
    return plain
