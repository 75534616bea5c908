"""What goes on: how many jobs live and wait, and which types could be run now.

Counting looks at every live job. So it is done for all who ask together, and never for more than a
twentieth of the time.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import structlog
from pydantic import BaseModel
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticUserError

from shared.contract.errors import Unavailable
from shared.contract.ids import TenantId
from shared.contract.job_types import Catalogue, JobType
from shared.contract.states import State
from shared.runtime.clock import Clock
from shared.store.operating import Tally, Worker

log: Final = structlog.get_logger()

_FRESH: Final = 2.0  # seconds
_SHARE: Final = 20  # counting rests twenty times as long as it took
_STALE: Final = 300.0  # seconds, after which old figures are no answer
_COME_BACK: Final = 30  # seconds
_WAITING: Final = frozenset((State.SCHEDULED, State.QUEUED, State.RETRYING))


class Counts(Protocol):
    async def tallies(self) -> list[Tally]:
        """As ``Operating.tallies``."""

    async def workers(self) -> list[Worker]:
        """As ``Operating.workers``."""


class Overview:
    def __init__(self, *, counts: Counts, catalogue: Catalogue, clock: Clock) -> None:
        self._counts, self._catalogue, self._clock = counts, catalogue, clock
        self._counting = asyncio.Lock()
        self._tallies: Mapping[TenantId, Sequence[Tally]] = {}
        self._counted_at = self._rests_until = float("-inf")
        self._as_of = datetime.now(UTC)
        self._schemas: dict[str, dict[str, Any]] = {}

    async def stats(self, tenant: TenantId) -> dict[str, Any]:
        """Count the tenant's live jobs; ``asOf`` says when they were counted."""
        await self._count()
        return _stats(self._tallies.get(tenant, ()), self._as_of)

    async def job_types(self) -> dict[str, Any]:
        """Describe all job types, and whether a worker lives that could run them."""
        workers = await self._counts.workers()
        return {
            "jobTypes": [self._type(self._catalogue[n], workers) for n in sorted(self._catalogue)]
        }

    async def _count(self) -> None:
        async with self._counting:  # who waits here is served by the one before
            now = self._clock.monotonic()
            if now >= self._rests_until:
                await self._look(now)
            if now - self._counted_at > _STALE:
                raise Unavailable("The jobs cannot be counted in time", retry_after=_COME_BACK)

    async def _look(self, began: float) -> None:
        """Count anew; if that fails, the figures of before are good for a while."""
        try:
            tallies = await self._counts.tallies()
        except Unavailable as error:
            log.warning("jobs not counted", why=str(error))
        else:
            self._counted_at, self._as_of = began, datetime.now(UTC)
            self._tallies = _by_tenant(tallies)
        now = self._clock.monotonic()
        self._rests_until = now + max(_FRESH, _SHARE * (now - began))

    def _type(self, job_type: JobType, workers: Sequence[Worker]) -> dict[str, Any]:
        schemas = self._schemas.get(job_type.name)
        if schemas is None:
            schemas = self._schemas[job_type.name] = _schemas(job_type)
        return _description(job_type) | schemas | _availability(job_type, workers)


def _by_tenant(tallies: Iterable[Tally]) -> dict[TenantId, list[Tally]]:
    found: dict[TenantId, list[Tally]] = {}
    for tally in tallies:
        found.setdefault(tally.tenant, []).append(tally)
    return found


def _stats(tallies: Sequence[Tally], as_of: datetime) -> dict[str, Any]:
    of_types = [tally for tally in tallies if tally.state is not None]
    of_keys = [tally for tally in tallies if tally.key is not None]
    return {
        "asOf": as_of,
        **_sum(of_types),
        "types": _grouped(of_types, "type"),
        "pools": _grouped(of_types, "pool"),
        "keys": [
            {
                "orderingKey": one.key,
                "waiting": one.waiting,
                "running": one.jobs - one.waiting,
                "oldest": one.oldest,
            }
            for one in sorted(of_keys, key=lambda one: (-one.waiting, one.oldest))
        ],
    }


def _grouped(tallies: Sequence[Tally], member: str) -> list[dict[str, Any]]:
    names = sorted({getattr(tally, member) for tally in tallies})
    return [{member: n, **_sum([t for t in tallies if getattr(t, member) == n])} for n in names]


def _sum(tallies: Sequence[Tally]) -> dict[str, Any]:
    """Sum up: what waits and what runs, each state, and since when the oldest has been waiting."""
    by_state: dict[State, int] = {}
    for tally in tallies:
        if tally.state is not None:
            by_state[tally.state] = by_state.get(tally.state, 0) + tally.jobs
    document: dict[str, Any] = {
        "queued": by_state.get(State.QUEUED, 0),
        "running": sum(by_state.get(s, 0) for s in (State.RUNNING, State.CANCELLING)),
        "scheduled": by_state.get(State.SCHEDULED, 0),
        "retrying": by_state.get(State.RETRYING, 0),
    }
    if waiting := [tally.oldest for tally in tallies if tally.state is State.QUEUED]:
        document["oldestQueued"] = min(waiting)
    return document


def _description(job_type: JobType) -> dict[str, Any]:
    return {
        "type": job_type.name,
        "description": job_type.description,
        "pool": job_type.pool,
        "priority": job_type.priority,
        "timeoutSeconds": job_type.timeout.total_seconds(),
        "maxAttempts": job_type.retries.attempts,
        "resultTtlSeconds": job_type.result_ttl.total_seconds(),
        "ordering": _ordering(job_type),
        "submitUrl": f"/api/{job_type.collection}/{job_type.action}",
    }


def _ordering(job_type: JobType) -> dict[str, Any]:
    ordering = job_type.ordering
    described = {"required": ordering.required, "afterFailure": ordering.after_failure}
    if ordering.member is not None:
        described["member"] = _alias(job_type.request, ordering.member)
    return described


def _alias(model: type[BaseModel], member: str) -> str:
    return model.model_fields[member].alias or member


def _schemas(job_type: JobType) -> dict[str, Any]:
    schemas = {"requestSchema": _schema(job_type.request, "validation")}
    if job_type.result is not None:
        schemas["resultSchema"] = _schema(job_type.result, "serialization")
    return schemas


def _schema(model: type[BaseModel], mode: Any) -> dict[str, Any]:
    """Write the JSON Schema of a model; ``{}``, which takes anything, for one that has none."""
    try:
        return model.model_json_schema(by_alias=True, mode=mode)
    except (PydanticInvalidForJsonSchema, PydanticUserError):
        return {}


def _availability(job_type: JobType, workers: Sequence[Worker]) -> dict[str, Any]:
    """Say whether it could run now; else whether nobody is there, or only who lacks an extra."""
    there = [w for w in workers if job_type.pool in w.pools and job_type.name in w.types]
    able = [worker for worker in there if job_type.name not in worker.lacking]
    if able:
        return {"available": True, "workers": len(able)}
    return {"available": False, "workers": 0, "reason": "extra_missing" if there else "no_worker"}
