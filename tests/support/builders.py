"""Values of the contract, each stating only what matters to the test that asks for it."""

import os
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from shared.contract.events import JobEvent
from shared.contract.ids import THE_TENANT, JobId, TenantId, TrackId, uuid7
from shared.contract.jobs import Idempotency, Job, JobView, Priority, Submission
from shared.contract.states import State

START = datetime(2030, 1, 1, tzinfo=UTC)


def a_job_id() -> JobId:
    return JobId(uuid7(time.time_ns() // 1_000_000, os.urandom(10)))


def a_tenant() -> TenantId:
    return TenantId(UUID(bytes=os.urandom(16)))


def a_submission(**wishes: Any) -> Submission:
    """Something to be admitted: an echo without order, due at once."""
    usual: dict[str, Any] = {
        "id": a_job_id(),
        "tenant": THE_TENANT,
        "type": "demo.echo",
        "pool": "default",
        "priority": Priority.NORMAL,
        "request": b"{}",
        "track_id": TrackId("track"),
        "max_attempts": 4,
        "result_ttl": timedelta(days=1),
        "max_age": timedelta(days=7),
    }
    return Submission(**usual | wishes)


def an_idempotency(key: str, *, caller: str = "caller", request: bytes = b"same") -> Idempotency:
    return Idempotency(caller=caller, key=key, fingerprint=request)


def a_job(**facts: Any) -> Job:
    """A claimed job, in its first attempt."""
    usual: dict[str, Any] = {
        "id": a_job_id(),
        "tenant": THE_TENANT,
        "type": "demo.echo",
        "pool": "default",
        "priority": "normal",
        "token": 1,
        "attempt": 1,
        "crashes": 0,
        "max_attempts": 4,
        "sequence": 2,
        "request": b"{}",
        "track_id": TrackId("track"),
        "traceparent": None,
        "ordering_key": None,
        "checkpoint": None,
        "deadline": START + timedelta(days=7),
        "created_at": START,
        "waited_ms": 0,
    }
    return Job(**usual | facts)


def a_view(**facts: Any) -> JobView:
    """A job as a reader sees it: accepted, and not begun yet."""
    usual: dict[str, Any] = {
        "id": JobId(uuid7(1, b"\x01" * 10)),
        "tenant": THE_TENANT,
        "type": "demo.echo",
        "state": State.QUEUED,
        "priority": "normal",
        "sequence": 1,
        "attempt": 0,
        "max_attempts": 4,
        "replays": 0,
        "progress": 0,
        "message": None,
        "ordering_key": None,
        "tags": (),
        "track_id": TrackId("track"),
        "created_at": START,
        "updated_at": START,
        "started_at": None,
        "completed_at": None,
        "due": None,
        "expires_at": None,
        "result": None,
        "error_code": None,
        "error": None,
    }
    return JobView(**usual | facts)


def an_event(sequence: int, kind: str, **facts: Any) -> JobEvent:
    usual: dict[str, Any] = {"at": START, "attempt": 0, "error": None}
    return JobEvent(**usual | {"sequence": sequence, "kind": kind} | facts)
