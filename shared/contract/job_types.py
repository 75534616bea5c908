"""What a job type states: its models and its policy. Both services read the same statement."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from pydantic import BaseModel

from shared.contract.jobs import Priority
from shared.contract.retries import Retries

RESERVED: Final = frozenset({"callbackUrl", "job"})
"""Members of a submit that are ours: no request model may use them."""

_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}\.[a-z][a-z0-9-]{0,63}", re.ASCII)
_POOL = re.compile(r"[a-z][a-z0-9_-]{0,63}", re.ASCII)
OURS: Final = frozenset(
    {"batches", "blobs", "dead-letters", "deliveries", "job-types", "jobs", "stats"}
)
"""Collections that no job type can have: their addresses are something else."""


class Isolation(StrEnum):
    LOOP = "loop"  # asyncio code that never holds the loop
    PROCESS = "process"  # CPU-bound or crash-prone code: a child process that can be killed


class AfterFailure(StrEnum):
    """What an ordering key does when a job of it has failed for good."""

    SKIP = "skip"  # goes on with the next one
    BLOCK = "block"  # holds, until the job is replayed or the key released


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordering:
    """Whose turn it is: the rule that gives a job its ordering key."""

    member: str | None = None  # the request's field that is the key, unless the caller names one
    required: bool = False
    after_failure: AfterFailure = AfterFailure.SKIP


@dataclass(frozen=True, kw_only=True)
class JobType:
    """One kind of work. ``collection.action`` gives it its routes."""

    name: str
    request: type[BaseModel]
    result: type[BaseModel] | None = None
    description: str = ""
    timeout: timedelta = timedelta(minutes=1)  # of one attempt
    retries: Retries = field(default_factory=Retries)
    ordering: Ordering = field(default_factory=Ordering)
    priority: Priority = Priority.NORMAL
    pool: str = "default"
    result_ttl: timedelta = timedelta(days=1)
    max_age: timedelta | None = None  # None: what the setting says
    isolation: Isolation = Isolation.LOOP
    concurrency: int | None = None  # attempts of this type at once in one worker
    memory_bytes: int | None = None  # cap of a child process; None: what the setting says

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or self.collection in OURS:
            raise ValueError(f"job type {self.name!r}: the name must be collection.action")
        if not _POOL.fullmatch(self.pool):
            raise ValueError(f"job type {self.name!r}: {self.pool!r} is no name for a pool")
        names = {f.alias or name for name, f in self.request.model_fields.items()}
        if taken := sorted(names & RESERVED):
            raise ValueError(f"job type {self.name!r}: {taken} are reserved members")

    @property
    def collection(self) -> str:
        return self.name.partition(".")[0]

    @property
    def action(self) -> str:
        return self.name.partition(".")[2]


class Catalogue(Mapping[str, JobType]):
    """All job types a process knows, by name."""

    def __init__(self, job_types: Iterable[JobType]) -> None:
        self._types: dict[str, JobType] = {}
        for job_type in job_types:
            if self._types.setdefault(job_type.name, job_type) is not job_type:
                raise ValueError(f"two job types are named {job_type.name!r}")

    def __getitem__(self, name: str) -> JobType:
        return self._types[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._types)

    def __len__(self) -> int:
        return len(self._types)

    @property
    def pools(self) -> tuple[str, ...]:
        return tuple(sorted({job_type.pool for job_type in self._types.values()}))


def job_types_in(namespace: Mapping[str, Any]) -> list[JobType]:
    """List the job types that a module defines at its top level."""
    return [value for value in namespace.values() if isinstance(value, JobType)]
