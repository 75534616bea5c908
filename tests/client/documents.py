"""Documents as the front service writes them; a test states what matters to it."""

import os
from typing import Any

from shared.contract.ids import uuid7
from shared.contract.status import links

FINAL = frozenset({"completed", "failed", "cancelled", "expired"})
_COARSE = {
    "scheduled": "pending",
    "queued": "pending",
    "retrying": "pending",
    "running": "processing",
    "cancelling": "processing",
}


def a_job_id() -> str:
    return str(uuid7(1_700_000_000_000, os.urandom(10)))


def a_status(
    job_id: str, sequence: int, state: str = "running", *, progress: int = 0, **members: Any
) -> dict[str, Any]:
    """Build a status document after the event *sequence*."""
    return {
        "jobId": job_id,
        "type": "demo.echo",
        "status": _COARSE.get(state, state),
        "state": state,
        "progress": 100 if state == "completed" else progress,
        "sequence": sequence,
        "attempt": 1,
        "maxAttempts": 4,
        "createdAt": "2030-01-01T00:00:00Z",
        "updatedAt": "2030-01-01T00:00:01Z",
        "priority": "normal",
        "trackId": "track-1",
        "_links": links("demo.echo", job_id),
    } | members


def a_history(job_id: str | None = None, *, results: Any = None) -> list[dict[str, Any]]:
    """Build the life of a job that goes well: accepted, started, completed."""
    job_id = job_id or a_job_id()
    return [
        a_status(job_id, 1, "queued"),
        a_status(job_id, 2, "running"),
        a_status(job_id, 3, "completed", results=results, resultUrl=f"/api/demo/result/{job_id}"),
    ]


def a_ticket(job_type: str = "demo.echo", job_id: str | None = None) -> dict[str, Any]:
    job_id = job_id or a_job_id()
    places = links(job_type, job_id)
    return {
        "jobId": job_id,
        "status": "pending",
        "statusUrl": places["self"],
        "resultUrl": places["result"],
        "createdAt": "2030-01-01T00:00:00Z",
        "queuePosition": 3,
        "_links": places,
    }
