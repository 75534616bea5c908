"""Many submissions handed in at once: what is asked, how far they are, and what is told of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from shared.contract.ids import BatchId, TenantId, TrackId
from shared.contract.states import Status

MOST_SUBMISSIONS: Final = 1_000

ACCEPTED: Final = 1
"""The ``sequence`` of a batch whose jobs have not all ended; it has two events in all."""

COMPLETED: Final = 2

_CONFIG: Final = ConfigDict(
    frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True
)


class BatchEntry(BaseModel):
    """One submission of a batch: a job type, its request, and what a submit says beside it."""

    model_config = _CONFIG

    type: str = Field(max_length=200, description="collection.action")
    request: dict[str, Any] = Field(default_factory=dict)
    job: dict[str, Any] | None = Field(default=None, description="as the member of a submit")
    callback_url: str | None = None


class BatchRequest(BaseModel):
    """Many submissions, each judged by itself; *atomic*: all of them become jobs, or none."""

    model_config = _CONFIG

    jobs: tuple[BatchEntry, ...] = Field(min_length=1, max_length=MOST_SUBMISSIONS)
    atomic: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchView:
    """A batch as a reader sees it. *counts* are its jobs by status: as they stood at its end."""

    id: BatchId
    tenant: TenantId
    track_id: TrackId
    refused: int
    created_at: datetime
    completed_at: datetime | None
    progress: int
    counts: Mapping[Status, int]

    @property
    def has_ended(self) -> bool:
        return self.completed_at is not None

    @property
    def sequence(self) -> int:
        return COMPLETED if self.has_ended else ACCEPTED


def batch_links(batch_id: str) -> dict[str, str]:
    """List the addresses of one batch, relative to the front service."""
    return {
        "self": f"/api/batches/{batch_id}",
        "jobs": f"/api/jobs?batch={batch_id}",
        "events": f"/api/batches/{batch_id}/events",
        "socket": f"/batches/{batch_id}",
    }


def batch_document(batch: BatchView) -> dict[str, Any]:
    """Describe *batch* as it is now."""
    name = str(batch.id)
    places = batch_links(name)
    document: dict[str, Any] = {
        "batchId": name,
        "event": "batch.completed" if batch.has_ended else "batch.progress",
        "status": Status.COMPLETED if batch.has_ended else Status.PROCESSING,
        "progress": 100 if batch.has_ended else batch.progress,
        "sequence": batch.sequence,
        "total": sum(batch.counts.values()),
        "counts": {str(status): batch.counts.get(status, 0) for status in Status},
        "refused": batch.refused,
        "createdAt": batch.created_at,
        "trackId": batch.track_id,
        "statusUrl": places["self"],
        "_links": places,
    }
    if batch.completed_at is not None:
        document["completedAt"] = batch.completed_at
    return document
