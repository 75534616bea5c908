"""Turn records into the values of the contract."""

from dataclasses import dataclass, fields

from asyncpg import Record

from shared.contract.events import JobEvent
from shared.contract.ids import JobId, TenantId, TrackId
from shared.contract.jobs import Job, JobView
from shared.contract.states import State


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRow:
    """A knock that is stored and still to be published."""

    id: int
    route: str
    job_ids: tuple[JobId, ...]
    keyed: bool
    track_ids: str  # of its jobs, with commas
    traceparent: str | None = None  # of its first job, where the relay took it


def outbox_row(record: Record) -> OutboxRow:
    return OutboxRow(
        id=record["id"],
        route=record["route"],
        job_ids=tuple(record["job_ids"]),
        keyed=record["keyed"],
        track_ids=record["track_ids"],
        traceparent=record.get("traceparent"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class InLine:
    """A job that waits for a worker, and in which lane."""

    id: JobId
    tenant: TenantId
    type: str
    priority: str


def in_line(record: Record) -> InLine:
    return InLine(
        id=record["id"],
        tenant=record["tenant"],
        type=record["type"],
        priority=record["priority"],
    )


_OF_A_JOB = tuple(f.name for f in fields(Job))


def job(record: Record) -> Job:
    """Read a claimed job; the record may say more than that."""
    return Job(**{name: record[name] for name in _OF_A_JOB})


def job_view(record: Record) -> JobView:
    values = dict(record)
    values["id"], values["tenant"] = JobId(values["id"]), TenantId(values["tenant"])
    values["state"], values["track_id"] = State(values["state"]), TrackId(values["track_id"])
    values["tags"] = tuple(values["tags"])
    return JobView(**values)


def job_event(record: Record) -> JobEvent:
    return JobEvent(
        sequence=record["sequence"],
        kind=record["kind"],
        at=record["at"],
        attempt=record["attempt"],
        error=record["error"],
        replays=record["replays"],
    )
