"""The documents that the service answers, as models.

The services write them as plain mappings, for speed; tests hold every answer to these models.
A member that may be ``None`` here is left out there: no member is ever null.
"""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from shared.contract.access import Scope
from shared.contract.jobs import Priority
from shared.contract.states import State, Status

_ID = "01985e6c-3b7a-7c4e-8f21-5d0e9a6b7c11"


class Document(BaseModel):
    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, validate_by_name=True, serialize_by_alias=True
    )


class Links(Document):
    """Addresses of one job, relative to this service."""

    self_: str = Field(alias="self", examples=[f"/api/demo/status/{_ID}"])
    result: str
    cancel: str
    events: str
    socket: str


class Ticket(Document):
    """The job is durable. What became of it is told at ``statusUrl``."""

    job_id: UUID = Field(examples=[_ID])
    status: Status
    status_url: str = Field(examples=[f"/api/demo/status/{_ID}"])
    result_url: str = Field(examples=[f"/api/demo/result/{_ID}"])
    created_at: datetime
    existing: Literal[True] | None = Field(
        None, description="another job holds the unique key: this is that one"
    )
    queue_position: int | None = Field(None, ge=1)
    estimated_completion: datetime | None = None
    links: Links = Field(alias="_links")


class Trouble(Document):
    """Why a job did not complete."""

    type: str = Field(examples=["urn:uketsuke:problem:timeout"])
    title: str = Field(description="fit to show a person")
    code: str = Field(examples=["timeout"])
    attempts: int


class ListedJob(Document):
    """One job as it is now. Members that do not apply are left out."""

    job_id: UUID = Field(examples=[_ID])
    type: str = Field(examples=["demo.sleep"])
    status: Status
    state: State = Field(description="the finer view")
    progress: int = Field(ge=0, le=100, description="never goes back within an attempt")
    message: str | None = Field(None, description="what the handler says it is doing")
    sequence: int = Field(ge=1, description="number of the last event in the job's history")
    attempt: int = Field(ge=0)
    max_attempts: int = Field(ge=1)
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = Field(None, description="when its first attempt began")
    completed_at: datetime | None = Field(None, description="when it came to its end, whichever")
    scheduled_for: datetime | None = Field(None, description="not before then")
    expires_at: datetime | None = Field(None, description="until then job and result are kept")
    ordering_key: str | None = None
    batch_id: UUID | None = Field(None, description="the batch it came in")
    priority: Priority
    tags: tuple[str, ...] | None = None
    replays: int | None = Field(None, ge=0, description="how often it was given a new run")
    track_id: str
    error: str | None = Field(None, description="fit to show a person")
    problem: Trouble | None = None
    status_url: str
    result_url: str | None = None
    links: Links = Field(alias="_links")


class JobStatus(ListedJob):
    """One job as it is now. Members that do not apply are left out."""

    queue_position: int | None = Field(None, ge=1, description="its place in the line")
    estimated_completion: datetime | None = Field(
        None, description="when it may be done, if that can be told"
    )
    results: Any = Field(None, description="inline up to 64 KiB; else only at resultUrl")


class Frame(JobStatus):
    """The status document as it was right after one event, or with the newest progress."""

    replayed: Literal[True] | None = Field(
        None, description="this ending was undone by a replay, more frames follow"
    )


class JobPage(Document):
    """Jobs, newest first."""

    jobs: list[ListedJob]
    next_cursor: str | None = Field(None, description="if there may be more: send it as cursor")


class Result(Document):
    """The result of a completed job, however large."""

    job_id: UUID
    status: Literal[Status.COMPLETED]
    results: Any
    completed_at: datetime


class StoredBlob(Document):
    """A stored file; ``reference`` is what a request says to use it."""

    blob_id: UUID
    url: str = Field(examples=[f"/api/blobs/{_ID}"])
    size: int = Field(ge=0, description="bytes")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    reference: str = Field(pattern="^blob:", examples=[f"blob:{_ID}"])


class Count(Document):
    """How many jobs live, by state."""

    queued: int = Field(ge=0)
    running: int = Field(ge=0)
    scheduled: int = Field(ge=0)
    retrying: int = Field(ge=0)
    oldest_queued: datetime | None = Field(None, description="since when the oldest has waited")


class CountOfType(Count):
    type: str


class CountOfPool(Count):
    pool: str


class CountOfKey(Document):
    """One ordering key; those with the most waiting come first."""

    ordering_key: str
    waiting: int = Field(ge=0)
    running: int = Field(ge=0)
    oldest: datetime


class Stats(Count):
    """What waits and what runs, as it was counted at *asOf*."""

    as_of: datetime
    types: list[CountOfType]
    pools: list[CountOfPool]
    keys: list[CountOfKey]


class Ordering(Document):
    member: str | None = Field(None, description="of the request: it is the ordering key")
    required: bool
    after_failure: str


class DescribedType(Document):
    """A job type, and whether it could be run now."""

    type: str
    description: str
    pool: str
    priority: Priority
    timeout_seconds: float
    max_attempts: int
    result_ttl_seconds: float
    ordering: Ordering
    submit_url: str
    request_schema: dict[str, Any]
    result_schema: dict[str, Any] | None = None
    available: bool
    workers: int = Field(ge=0, description="that could run it")
    reason: Literal["extra_missing", "no_worker"] | None = None


class JobTypes(Document):
    job_types: list[DescribedType]


class BatchLinks(Document):
    """Addresses of one batch, relative to this service."""

    self_: str = Field(alias="self", examples=[f"/api/batches/{_ID}"])
    jobs: str
    events: str
    socket: str


class Batch(Document):
    """A batch as it is now."""

    batch_id: UUID = Field(examples=[_ID])
    event: Literal["batch.progress", "batch.completed"]
    status: Literal[Status.PROCESSING, Status.COMPLETED]
    progress: int = Field(ge=0, le=100)
    sequence: int = Field(ge=1)
    total: int = Field(ge=0)
    counts: dict[Status, int] = Field(description="its jobs by status")
    refused: int = Field(ge=0, description="submissions that became no jobs")
    created_at: datetime
    completed_at: datetime | None = None
    track_id: str
    status_url: str
    links: BatchLinks = Field(alias="_links")


class BatchPlace(Document):
    """What became of one submission: a ticket, or a problem."""

    problem: "Problem | None" = None
    job_id: UUID | None = None
    status: Status | None = None
    status_url: str | None = None
    result_url: str | None = None
    created_at: datetime | None = None
    existing: Literal[True] | None = None
    links: Links | None = Field(None, alias="_links")


class BatchTicket(Document):
    """The batch, and each submission answered in its place."""

    batch_id: UUID = Field(examples=[_ID])
    status: Literal[Status.PROCESSING, Status.COMPLETED]
    status_url: str
    created_at: datetime
    accepted: int = Field(ge=0)
    refused: int = Field(ge=0)
    jobs: list[BatchPlace]
    links: BatchLinks = Field(alias="_links")


class ReadToken(Document):
    """Whoever holds the token may follow this one job, by its streams, until it expires."""

    job_id: UUID
    token: str = Field(pattern="^uktr1_")
    expires_at: datetime
    links: "StreamLinks" = Field(alias="_links")


class StreamLinks(Document):
    """Addresses of the streams, with the token."""

    events: str
    socket: str


class Mistake(Document):
    """One thing that is wrong with a request."""

    pointer: str = Field(description="where, as a JSON pointer; empty: the whole")
    detail: str


class Problem(Document):
    """Why a request was refused (RFC 9457). Decide by ``code``; show ``detail``."""

    type: str = Field(examples=["urn:uketsuke:problem:unknown_job"])
    title: str
    status: int = Field(ge=400, le=599)
    detail: str
    code: str
    track_id: str = Field(description="as in X-Track-ID: quote it when you ask for help")
    error: str = Field(description="the same as detail, for simple clients")
    errors: list[Mistake] | None = Field(None, description="with code invalid: what is wrong")
    jobs: list[dict[str, Any]] | None = Field(None, description="with code batch_refused")
    job_id: UUID | None = Field(None, description="with code not_unique: who holds the key")
    status_url: str | None = None
    links: dict[str, str] | None = Field(None, alias="_links")
    scope: Scope | None = Field(None, description="with code out_of_scope: what it takes")
    policy: Literal["submits", "queued", "streams", "front"] | None = Field(
        None,
        description="with code over_quota: which limit of the tenant was reached; front: of all",
    )
    job: JobStatus | None = Field(None, description="where the state of the job is the reason")


class Alive(Document):
    status: Literal["alive"]


class Readiness(Document):
    status: Literal["ready", "unready", "draining"]
    database: Literal["up", "down"]
    broker: Literal["up", "degraded"]
