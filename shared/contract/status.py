"""The status document: one job as clients see it, the same on every channel.

Members that do not apply are left out. ``results`` is the stored JSON, passed on untouched.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import orjson

from shared.contract.events import ACCEPTED, JobEvent
from shared.contract.jobs import JobView
from shared.contract.states import ENDINGS, STATUS, State

MOST_INLINE: Final = 64 * 1024
"""Bytes of a result that a status document carries itself; above, only ``resultUrl``."""

_KNOWN_LATER = frozenset(
    {
        *("completedAt", "error", "expiresAt", "message", "problem"),
        *("replays", "resultUrl", "results", "scheduledFor"),
    }
)
_UNDER_WAY = frozenset((State.QUEUED, State.RUNNING, State.CANCELLING))
_DUMP = orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC


def dump(document: Mapping[str, Any]) -> bytes:
    """Write a document as JSON: instants in UTC with ``Z``."""
    return orjson.dumps(document, option=_DUMP)


def links(job_type: str, job_id: str) -> dict[str, str]:
    """List the addresses of one job, relative to the front service."""
    collection = job_type.partition(".")[0]
    return {
        "self": f"/api/{collection}/status/{job_id}",
        "result": f"/api/{collection}/result/{job_id}",
        "cancel": f"/api/{collection}/cancel/{job_id}",
        "events": f"/api/jobs/{job_id}/events",
        "socket": f"/jobs/{job_id}",
    }


def ticket(job_type: str, job_id: object, created_at: datetime) -> dict[str, Any]:
    """Build the answer to a submit: the first thing a client learns of its job."""
    name = str(job_id)
    places = links(job_type, name)
    return {
        "jobId": name,
        "status": STATUS[State.QUEUED],
        "statusUrl": places["self"],
        "resultUrl": places["result"],
        "createdAt": created_at,
        "_links": places,
    }


def status_document(job: JobView) -> dict[str, Any]:
    """Describe *job* as it is now."""
    name = str(job.id)
    places = links(job.type, name)
    document: dict[str, Any] = {
        "jobId": name,
        "type": job.type,
        "status": job.status,
        "state": job.state,
        "progress": 100 if job.state is State.COMPLETED else job.progress,
        "sequence": job.sequence,
        "attempt": job.attempt,
        "maxAttempts": job.max_attempts,
        "createdAt": job.created_at,
        "updatedAt": job.updated_at,
        "priority": job.priority,
        "trackId": job.track_id,
        "statusUrl": places["self"],
        "_links": places,
    }
    document |= {name: value for name, value in _sometimes(job).items() if value}
    if job.state is State.COMPLETED:
        document |= _results(job, places["result"])
    elif job.error_code is not None and job.state not in _UNDER_WAY:
        document |= _trouble(job)
    return document


def result_document(job: JobView) -> dict[str, Any]:
    """Describe the result of a completed *job*, however large."""
    return {
        "jobId": str(job.id),
        "status": job.status,
        "results": orjson.Fragment(job.result or b"null"),
        "completedAt": job.completed_at,
    }


def frame(job: JobView, event: JobEvent) -> dict[str, Any]:
    """Describe *job* as it was right after *event*; the last event is the job as it is now.

    An ending that is not the last event was undone by a replay: it says so, as ``replayed``.
    """
    if event.sequence >= job.sequence:
        return status_document(job)
    state, is_of_this_run = _state_of(event, job), event.replays == job.replays
    document = status_document(job) | {
        "status": STATUS[state],
        "state": state,
        "sequence": event.sequence,
        "attempt": event.attempt,
        "updatedAt": event.at,
        # it never goes back while an attempt lasts
        "progress": job.progress if state is State.CANCELLING and is_of_this_run else 0,
    }
    for later in _KNOWN_LATER:
        document.pop(later, None)
    if event.replays:
        document["replays"] = event.replays
    if state in ENDINGS:
        document |= {"completedAt": event.at, "replayed": True}
    if job.started_at is not None and job.started_at > event.at:
        del document["startedAt"]
    if event.error is not None:
        document["error"] = event.error
    return document


def _state_of(event: JobEvent, job: JobView) -> State:
    if event.kind == ACCEPTED:  # what it waits for after a start is another time
        return State.SCHEDULED if job.due and not job.started_at else State.QUEUED
    return State(event.kind)


def _sometimes(job: JobView) -> dict[str, Any]:
    waits = job.state in (State.SCHEDULED, State.RETRYING)
    return {
        "message": job.message,
        "startedAt": job.started_at,
        "completedAt": job.completed_at if job.state in ENDINGS else None,
        "scheduledFor": job.due if waits else None,
        "expiresAt": job.expires_at,
        "orderingKey": job.ordering_key,
        "tags": job.tags,
        "batchId": str(job.batch) if job.batch else None,
        "replays": job.replays,
    }


def _results(job: JobView, result_url: str) -> dict[str, Any]:
    if job.result is None or len(job.result) > MOST_INLINE:
        return {"resultUrl": result_url}
    return {"results": orjson.Fragment(job.result), "resultUrl": result_url}


def _trouble(job: JobView) -> dict[str, Any]:
    problem = {
        "type": f"urn:uketsuke:problem:{job.error_code}",
        "title": job.error,
        "code": job.error_code,
        "attempts": job.attempt,
    }
    return {"error": job.error, "problem": problem}
