"""Jobs as values: what is asked, what a worker holds, what a reader sees."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from shared.contract.ids import BatchId, BlobId, JobId, TenantId, TrackId
from shared.contract.states import ENDINGS, STATUS, State, Status


class Priority(StrEnum):
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


@dataclass(frozen=True, slots=True, kw_only=True)
class Idempotency:
    """The caller's own name for a request; *fingerprint* tells the same one from another."""

    caller: str
    key: str
    fingerprint: bytes


class OnConflict(StrEnum):
    """What becomes of a submission whose unique key another job holds."""

    RETURN = "return"  # it is that job
    REJECT = "reject"
    REPLACE = "replace"  # that job is cancelled, and this one holds the key from now on


@dataclass(frozen=True, slots=True, kw_only=True)
class Uniqueness:
    """The business's own name for a job: of one tenant and type, one job at a time holds *key*.

    *lasts* is counted from the acceptance; ``None``: until the job has an ending.
    """

    key: str
    lasts: timedelta | None = None
    on_conflict: OnConflict = OnConflict.RETURN


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One vetted request that waits to become a job."""

    id: JobId
    tenant: TenantId
    type: str
    pool: str
    priority: Priority
    request: bytes  # JSON
    track_id: TrackId
    max_attempts: int
    result_ttl: timedelta
    max_age: timedelta  # the deadline of a job that names none, counted from when it is due
    ordering_key: str | None = None
    blocks: bool = False  # a final failure holds the key until somebody replays or releases it
    delay: timedelta | None = None
    run_at: datetime | None = None
    start_deadline: datetime | None = None
    deadline: datetime | None = None
    tags: tuple[str, ...] = ()
    callback_url: str | None = None
    callback_events: tuple[str, ...] = ()
    traceparent: str | None = None
    blobs: tuple[BlobId, ...] = ()
    idempotency: Idempotency | None = None
    unique: Uniqueness | None = None
    batch: BatchId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A submission that is durable now, or was before: *replayed* says which.

    *existing*: it is another job that holds its unique key.
    """

    job_id: JobId
    at: datetime
    replayed: bool = False
    existing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One claimed promise to do one piece of work, as the store handed it to a worker."""

    id: JobId
    tenant: TenantId
    type: str
    pool: str
    priority: str
    token: int  # the fence: grows with every claim, so a zombie holds an old one
    attempt: int  # counted at the claim; a drain and a snooze give theirs back
    crashes: int  # attempts that ended with their worker: no fault of the handler's
    max_attempts: int
    sequence: int
    request: bytes
    track_id: TrackId
    traceparent: str | None
    ordering_key: str | None
    checkpoint: bytes | None
    deadline: datetime
    created_at: datetime
    waited_ms: int  # from being queued until this claim


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """One job as a reader sees it."""

    id: JobId
    tenant: TenantId
    type: str
    state: State
    priority: str
    sequence: int
    attempt: int
    max_attempts: int
    replays: int
    progress: int
    message: str | None
    ordering_key: str | None
    tags: tuple[str, ...]
    track_id: TrackId
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    due: datetime | None
    expires_at: datetime | None
    result: bytes | None
    error_code: str | None
    error: str | None
    batch: BatchId | None = None

    @property
    def status(self) -> Status:
        return STATUS[self.state]

    @property
    def has_ended(self) -> bool:
        return self.state in ENDINGS
