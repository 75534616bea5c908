"""Find jobs for a reader: one, its result, or a page of many; never another tenant's."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol
from uuid import UUID

from front_service.vetting import Ask
from shared.contract.errors import Malformed, NoResult, UnknownJob
from shared.contract.ids import BatchId, JobId, TenantId, parse_uuid
from shared.contract.jobs import Accepted, JobView
from shared.contract.states import STATUS, State, Status
from shared.contract.status import status_document
from shared.store.reads import Filters

_USUAL_PAGE: Final = 50
_LARGEST_PAGE: Final = 200
_LONGEST_RETRY: Final = 30
_LONGEST_VALUE: Final = 200
_FILTERS: Final = frozenset(
    (
        *("status", "state", "type", "orderingKey", "tag", "createdAfter", "createdBefore"),
        "batch",
    )
)
_WHOLE = re.compile(r"-?[0-9]+", re.ASCII)


class ReadsJobs(Protocol):
    async def job(self, tenant: TenantId, job_id: JobId, *, whole: bool = False) -> JobView:
        """As ``Reads.job``."""

    async def jobs(
        self, tenant: TenantId, filters: Filters, *, limit: int, before: JobId | None = None
    ) -> list[JobView]:
        """As ``Reads.jobs``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a list is asked for."""

    filters: Filters
    limit: int
    before: JobId | None


class Lookup:
    def __init__(self, reads: ReadsJobs) -> None:
        self._reads = reads

    async def job(
        self, tenant: TenantId, text: str, *, collection: str | None = None, whole: bool = False
    ) -> JobView:
        """Find the job *text* names, if it is of *collection*.

        Raises ``UnknownJob`` for whatever else it may be, ``Gone`` for one cleaned up.
        """
        job = await self._reads.job(tenant, read_job_id(text), whole=whole)
        if collection is not None and job.type.partition(".")[0] != collection:
            raise UnknownJob
        return job

    async def result(self, tenant: TenantId, text: str, *, collection: str) -> JobView:
        """Find a completed job with its whole result; raise ``NoResult`` if there is none."""
        job = await self.job(tenant, text, collection=collection, whole=True)
        if job.state is State.COMPLETED:
            return job
        if job.has_ended:
            raise NoResult(f"The job is {job.status}; there will be no result.")
        raise NoResult("There is no result yet.", retry_after=retry_after(job, datetime.now(UTC)))

    async def status(self, ask: Ask, accepted: Accepted) -> str:
        """Say how a job stands that was accepted before."""
        return (await self._reads.job(ask.tenant, accepted.job_id)).status

    async def page(self, tenant: TenantId, page: Page) -> dict[str, Any]:
        """List jobs, newest first, with a cursor if there may be more."""
        jobs = await self._reads.jobs(
            tenant, page.filters, limit=page.limit + 1, before=page.before
        )
        shown = jobs[: page.limit]
        document: dict[str, Any] = {"jobs": [_in_a_list(job) for job in shown]}
        if len(jobs) > page.limit:
            document["nextCursor"] = write_cursor(shown[-1].id)
        return document


def read_job_id(text: str) -> JobId:
    """Read the canonical form only; whatever else was never a job of ours."""
    found = parse_uuid(text)
    if found is None:
        raise UnknownJob
    return JobId(found)


def retry_after(job: JobView, now: datetime, completion: datetime | None = None) -> int:
    """Seconds until it is worth asking again: half of what is left until *completion*.

    Where that is not known, a tenth of how long this run has been going on.
    """
    if completion is not None and completion > now:
        wait = (completion - now).total_seconds() / 2
    elif job.state is State.SCHEDULED and job.due is not None and job.due > now:
        wait = (job.due - now).total_seconds()
    else:
        began = job.started_at or job.updated_at if job.replays else job.created_at
        wait = (now - began).total_seconds() / 10
    return max(1, min(_LONGEST_RETRY, int(wait)))


def read_page(query: Mapping[str, str], *, only: Collection[State] = tuple(State)) -> Page:
    """Read the query of a list, *only* of some states; raise ``Malformed`` for whatever is none."""
    if unknown := sorted(query.keys() - _FILTERS - {"limit", "cursor"}):
        raise Malformed(f"Unknown parameter: {unknown[0][:50]!a}.")
    filters = Filters(
        states=_states(query.get("status"), query.get("state"), only),
        type=_text(query, "type"),
        ordering_key=_text(query, "orderingKey"),
        tag=_text(query, "tag"),
        created_after=_instant(query, "createdAfter"),
        created_before=_instant(query, "createdBefore"),
        batch=_batch(query.get("batch")),
    )
    cursor = query.get("cursor")
    before = None if cursor is None else read_cursor(cursor)
    return Page(filters=filters, limit=_limit(query.get("limit")), before=before)


def write_cursor(job_id: JobId) -> str:
    return urlsafe_b64encode(job_id.bytes).decode("ascii").rstrip("=")


def read_cursor(text: str) -> JobId:
    """Read what ``write_cursor`` wrote, and nothing else."""
    try:
        job_id = JobId(UUID(bytes=urlsafe_b64decode(text + "==")))
    except ValueError:
        raise Malformed("The cursor is not one of ours.") from None
    if write_cursor(job_id) != text:
        raise Malformed("The cursor is not one of ours.")
    return job_id


def _states(
    status: str | None, state: str | None, only: Collection[State]
) -> Sequence[State] | None:
    if status is None and state is None:
        return None if len(only) == len(State) else list(only)
    try:
        coarse = None if status is None else Status(status)
        fine = None if state is None else State(state)
    except ValueError:
        raise Malformed("There is no such status or state.") from None
    return [s for s in State if fine in (None, s) and coarse in (None, STATUS[s]) and s in only]


def _batch(text: str | None) -> BatchId | None:
    found = None if text is None else parse_uuid(text)
    if text is not None and found is None:
        raise Malformed("batch must be the id of a batch.")
    return None if found is None else BatchId(found)


def _text(query: Mapping[str, str], name: str) -> str | None:
    value = query.get(name)
    if value is None:
        return None
    is_text = value.isprintable() and "\ufffd" not in value  # what stood there was not UTF-8
    if len(value) > _LONGEST_VALUE or not is_text:
        raise Malformed(f"{name} is not a text that it could be.")
    return value


def _instant(query: Mapping[str, str], name: str) -> datetime | None:
    value = query.get(name)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):  # the other one: a time that has none in UTC
        pass
    raise Malformed(f"{name} must be a time with its offset, as 2030-01-31T12:00:00Z.")


def _limit(text: str | None) -> int:
    if text is None:
        return _USUAL_PAGE
    if not _WHOLE.fullmatch(text):
        raise Malformed("limit must be a number.")
    return max(1, min(_LARGEST_PAGE, int(text[:20])))


def _in_a_list(job: JobView) -> dict[str, Any]:
    """Describe one job of many: its result is a step further."""
    document = status_document(job)
    document.pop("results", None)
    return document
