"""What the author of a handler writes against: its context, and what it may raise."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

from shared.contract.files import FileReference
from shared.contract.ids import BlobId, JobId, TenantId, TrackId
from shared.contract.job_types import JobType

P = ParamSpec("P")
T = TypeVar("T")
Handler = Callable[..., Awaitable[object] | object]

_MARK = "__uketsuke_handles__"


class Retry(Exception):
    """This attempt failed; try again, *after* that long if given, else by the type's policy."""

    def __init__(self, message: str = "", *, after: timedelta | None = None) -> None:
        super().__init__(message)
        self.message, self.after = message, None if after is None else _duration(after)


class Fail(Exception):
    """This job can never succeed: no retry. *message* is shown to the caller."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code, self.message = code, message


class Snooze(Exception):
    """Not now: put the job off by *delay*; the attempt does not count."""

    def __init__(self, delay: timedelta) -> None:
        super().__init__(delay)
        self.delay = _duration(delay)


def _duration(wish: object) -> timedelta:
    """Check what an author wrote where he wrote it: a bare number would fail far from there."""
    if not isinstance(wish, timedelta):
        raise TypeError(f"{wish!r} is no timedelta")
    return wish


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """One stored file. Put ``url`` into a result to link to it."""

    id: BlobId
    name: str
    content_type: str
    size_bytes: int
    sha256: str

    @property
    def url(self) -> str:
        return f"/api/blobs/{self.id}"


class Context(Protocol):
    """What a handler may do besides its own work. Cancel and timeout come as ``CancelledError``."""

    job_id: JobId
    tenant: TenantId
    track_id: TrackId
    type: str
    attempt: int
    max_attempts: int

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this job: send it along with outside effects."""

    @property
    def checkpoint(self) -> Any:
        """What the last attempt saved by ``save_checkpoint``; ``None`` if it did not."""

    async def progress(self, percent: float, message: str = "") -> None:
        """Tell how far the work is, 0 to 100; never goes back, never waits for the network."""

    async def save_checkpoint(self, data: Any) -> None:
        """Store JSON that the next attempt of this job reads; returns when it is durable."""

    async def once(self, name: str) -> bool:
        """Say whether the effect *name* of this job is still to be done: once ``True``, then not.

        Noted durably before it answers. An attempt that has lost its lease, or is to stop, never
        comes back from here: it ends with ``CancelledError``. A crash between the answer and the
        effect cannot be seen, so send ``idempotency_key`` along with what happens outside.
        """

    async def fetch(self, file: FileReference, *, most_bytes: int) -> Path:
        """Bring *file* to a private path that lasts as long as this attempt.

        Raises ``Fail`` for a file that cannot be had (unknown, refused, too large) and
        ``Retry`` for trouble that may pass.
        """

    async def keep(self, path: Path, *, name: str, content_type: str) -> Blob:
        """Store the file at *path* as a blob of this job; durable when it returns."""

    def open_blob(self, blob_id: BlobId) -> AsyncIterator[bytes]:
        """Stream a blob of this job's tenant."""

    @property
    def folder(self) -> Path:
        """A private folder that is removed when this attempt ends."""

    async def offload(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call *function* in a child process of its own; timeout and cancel kill it.

        Function, arguments and answer are pickled. Raises ``ChildDied`` if it crashed.
        """

    async def run_program(
        self, argv: Sequence[str], *, environment: Mapping[str, str] | None = None
    ) -> int:
        """Run an outside program in its own process group; timeout and cancel kill the group."""


class ChildDied(Exception):
    """A child process ended without an answer: crashed, killed, or out of memory."""


def handles(job_type: JobType) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Mark a function as the handler of *job_type*; nothing is registered until it is loaded.

    For ``Isolation.LOOP`` it is ``async def handler(context, request)``. For
    ``Isolation.PROCESS`` it is a plain ``def handler(context, request)`` whose context is a
    ``ChildContext``.
    """

    def mark(function: Callable[P, T]) -> Callable[P, T]:
        setattr(function, _MARK, job_type)
        return function

    return mark


def handlers_in(namespace: Mapping[str, Any]) -> dict[JobType, Handler]:
    """Find the marked functions of a module."""
    marked = (value for value in namespace.values() if callable(value))
    return {getattr(value, _MARK): value for value in marked if hasattr(value, _MARK)}


class ChildContext(Protocol):
    """What a handler that runs in a child process may do."""

    job_id: JobId
    tenant: TenantId
    track_id: TrackId
    type: str
    attempt: int
    max_attempts: int
    idempotency_key: str
    checkpoint: Any
    folder: Path

    def progress(self, percent: float, message: str = "") -> None:
        """As ``Context.progress``."""

    def save_checkpoint(self, data: Any) -> None:
        """As ``Context.save_checkpoint``; returns when it is durable."""
