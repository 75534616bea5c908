"""The answers about many jobs at once, as models.

The service writes them as plain mappings; tests hold every answer to these models. A member that
may be ``None`` here is left out there.
"""

from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from shared.contract.job_types import AfterFailure
from shared.contract.jobs import Priority
from shared.contract.states import Status

_CONFIG: Final = ConfigDict(
    frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True
)


class _Answer(BaseModel):
    model_config = _CONFIG


class BatchLinks(_Answer):
    """Addresses of one batch, relative to this service."""

    self_: str = Field(alias="self")
    jobs: str
    events: str
    socket: str


class BatchPlace(_Answer):
    """What became of one submission: a job, or a problem. Empty: good, and yet not kept."""

    job_id: UUID | None = None
    status: Status | None = None
    status_url: str | None = None
    result_url: str | None = None
    created_at: datetime | None = None
    existing: Literal[True] | None = Field(
        None, description="another job, which holds the unique key"
    )
    links: dict[str, str] | None = Field(None, alias="_links")
    problem: dict[str, Any] | None = Field(None, description="as a problem document (RFC 9457)")


class BatchAccepted(_Answer):
    """The answer to a batch; *jobs* are in the order of its submissions."""

    batch_id: UUID
    status: Literal[Status.PROCESSING, Status.COMPLETED]
    status_url: str
    created_at: datetime
    accepted: int = Field(ge=0)
    refused: int = Field(ge=0)
    jobs: tuple[BatchPlace, ...]
    links: BatchLinks = Field(alias="_links")


class BatchStatus(_Answer):
    """How far a batch is; also the frames of its streams, of which the last is ``completed``."""

    batch_id: UUID
    event: Literal["batch.progress", "batch.completed"]
    status: Literal[Status.PROCESSING, Status.COMPLETED]
    progress: int = Field(ge=0, le=100)
    sequence: Literal[1, 2]
    total: int = Field(ge=0, description="jobs of its own")
    counts: dict[Status, int]
    refused: int = Field(ge=0)
    created_at: datetime
    completed_at: datetime | None = None
    track_id: str
    status_url: str
    links: BatchLinks = Field(alias="_links")


class Sums(_Answer):
    """Live jobs by what they do, and since when the oldest queued one has been there."""

    queued: int = Field(ge=0)
    running: int = Field(ge=0)
    scheduled: int = Field(ge=0)
    retrying: int = Field(ge=0)
    oldest_queued: datetime | None = None


class TypeSums(Sums):
    type: str


class PoolSums(Sums):
    pool: str


class KeySums(_Answer):
    """One of the ordering keys in which most jobs wait."""

    ordering_key: str
    waiting: int = Field(ge=0)
    running: int = Field(ge=0)
    oldest: datetime


class Stats(Sums):
    """What goes on, as it was counted at *asOf*."""

    as_of: datetime
    types: tuple[TypeSums, ...]
    pools: tuple[PoolSums, ...]
    keys: tuple[KeySums, ...]


class OrderingRule(_Answer):
    """Which member of a request orders the jobs, and what a final failure does to its key."""

    member: str | None = None
    required: bool
    after_failure: AfterFailure


class DescribedType(_Answer):
    """A job type: its policy, its JSON Schemas, and whether a worker lives that could run it."""

    type: str
    description: str
    pool: str
    priority: Priority
    timeout_seconds: float
    max_attempts: int
    result_ttl_seconds: float
    ordering: OrderingRule
    submit_url: str
    request_schema: dict[str, Any]
    result_schema: dict[str, Any] | None = None
    available: bool
    workers: int = Field(ge=0, description="that live and could run it")
    reason: Literal["no_worker", "extra_missing"] | None = None


class DescribedTypes(_Answer):
    job_types: tuple[DescribedType, ...]
