"""Many jobs at once: hand a batch in, change jobs in bulk, and see what goes on."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

import orjson
from pydantic import BaseModel, ConfigDict, TypeAdapter
from pydantic.alias_generators import to_camel

from shared.contract.errors import UketsukeError, UnknownBatch
from shared.contract.headers import IDEMPOTENCY_KEY, IDEMPOTENT_REPLAYED
from shared.contract.ids import BatchId, parse_uuid
from shared.contract.job_types import JobType
from shared.contract.operating import Action, BulkAnswer, BulkFilter, BulkRequest
from shared.contract.states import Status
from uketsuke.documents import Ticket, judge, read_ticket
from uketsuke.errors import BadAnswer, clean, from_answer
from uketsuke.patience import Deadline
from uketsuke.submission import Wishes, request_members
from uketsuke.wire import Call, Wire

__all__ = [
    "BatchStatus",
    "BatchTicket",
    "BulkAnswer",
    "BulkFilter",
    "Entry",
    "Many",
    "Wishes",
]

_CONFIG: Final = ConfigDict(alias_generator=to_camel, extra="ignore")
_LONGEST_LOOK: Final = timedelta(seconds=5)  # between two looks at a batch


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One submission of a batch. *wishes* are what a submit may say beside the request."""

    job_type: str | JobType
    request: Mapping[str, Any] | BaseModel = field(default_factory=dict)
    wishes: Wishes = field(default_factory=Wishes)

    def document(self) -> dict[str, object]:
        """Write it as the service reads it; raise ``Invalid`` for members that are not ours."""
        name = self.job_type.name if isinstance(self.job_type, JobType) else self.job_type
        return {"type": name, "request": request_members(self.request), **self.wishes.members()}


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchTicket:
    """The answer to a batch: what is accepted is durable; *jobs* are as the entries were."""

    batch_id: BatchId
    status: str
    status_url: str
    jobs: tuple[Ticket | UketsukeError, ...]
    idempotency_key: str
    replayed: bool
    document: Mapping[str, Any] = field(repr=False, hash=False, compare=False)

    @property
    def accepted(self) -> tuple[Ticket, ...]:
        return tuple(one for one in self.jobs if isinstance(one, Ticket))

    @property
    def refused(self) -> tuple[UketsukeError, ...]:
        return tuple(one for one in self.jobs if isinstance(one, UketsukeError))


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchStatus:
    """A batch as the service described it at one moment. *counts* are its jobs by status."""

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    batch_id: BatchId
    status: str
    progress: float = 0
    total: int = 0
    refused: int = 0
    counts: Mapping[str, int] = field(default_factory=dict, hash=False)
    created_at: datetime | None = None
    completed_at: datetime | None = None
    document: Mapping[str, Any] = field(repr=False, hash=False, compare=False)

    @property
    def has_ended(self) -> bool:
        return self.status == Status.COMPLETED

    @property
    def succeeded(self) -> bool:
        """Whether it is over and every job of it completed."""
        return self.has_ended and self.counts.get(Status.COMPLETED, 0) == self.total


_STATUS: Final = TypeAdapter(BatchStatus)
_NOTHING: Final = BulkRequest(action=Action.CANCEL, ids=(uuid.UUID(int=0),), dry_run=True)
"""What changes nothing, and tells the time of the service."""

_BULK: Final = TypeAdapter(BulkAnswer)


class Many:
    """The part of ``Client`` that is about many jobs at once."""

    _wire: Wire

    def _until(self, patience: timedelta | None = None) -> Deadline:
        raise NotImplementedError

    async def submit_batch(
        self,
        entries: Iterable[Entry],
        *,
        atomic: bool = False,
        idempotency_key: str | None = None,
        patience: timedelta | None = None,
    ) -> BatchTicket:
        """Hand many jobs in; when this returns, all that were accepted are durable.

        Each entry is answered in its place, with a ticket or with its error. *atomic*: all of
        them, or ``BatchRefused``; that is raised too if none is accepted. Its repeats over a bad
        network are one batch.
        """
        key = str(uuid.uuid4()) if idempotency_key is None else idempotency_key
        body = orjson.dumps({"jobs": [one.document() for one in entries], "atomic": atomic})
        return await self.submit_batch_document(body, key=key, patience=patience)

    async def submit_batch_document(
        self,
        body: bytes,
        *,
        key: str,
        media: str = "application/json",
        query: Mapping[str, str] | None = None,
        patience: timedelta | None = None,
    ) -> BatchTicket:
        """Hand in a batch that is written already: as JSON, or as ``application/x-ndjson``."""
        call = Call(
            method="POST",
            path="/api/batches",
            query=query or {},
            headers={IDEMPOTENCY_KEY: key, "Content-Type": media},
            body=lambda: body,
        )
        answer = await self._wire.ask(call, self._until(patience))
        replayed = answer.headers.get(IDEMPOTENT_REPLAYED, "").lower() == "true"
        return _ticket(answer.document, key, replayed=replayed)

    async def batch(self, batch_id: BatchId | str) -> BatchStatus:
        """Ask how far a batch is; raise ``UnknownBatch`` or ``Gone``."""
        path = f"/api/batches/{_checked(batch_id)}"
        call = Call(method="GET", path=path, missing=UnknownBatch)
        return judge(_STATUS, "batch", (await self._wire.ask(call, self._until())).document, {})

    async def wait_for_batch(
        self, batch_id: BatchId | str, *, deadline: timedelta | None = None
    ) -> BatchStatus:
        """Wait until every job of a batch has ended, whichever way; raise ``DeadlinePassed``."""
        until, tries = Deadline(self._wire.clock, deadline), 0
        while not (status := await self.batch(batch_id)).has_ended:
            tries += 1
            await until.pause(min(self._wire.wait_before(tries), _LONGEST_LOOK))
        return status

    async def bulk(
        self,
        action: Action | str,
        *,
        filter: BulkFilter | None = None,  # noqa: A002  as the contract names it
        ids: Sequence[str] | None = None,
        dry_run: bool = False,
        as_of: datetime | None = None,
    ) -> BulkAnswer:
        """Replay, cancel or delete all jobs that fit, or those of *ids*; to the end.

        Jobs that ended later than *as_of* are left alone: by default than when this was called,
        as the service tells the time. So what is repeated over a bad network is done once.
        ``BulkFilter()`` means all jobs of the caller's.
        """
        moment = as_of or (await self._bulk(_NOTHING)).as_of
        wish = BulkRequest.model_validate(
            {"action": action, "filter": filter, "ids": ids, "dry_run": dry_run, "as_of": moment}
        )
        answer = await self._bulk(wish)
        while answer.next_cursor is not None:
            more = await self._bulk(wish.model_copy(update={"cursor": answer.next_cursor}))
            if more.next_cursor == answer.next_cursor:
                raise BadAnswer("a bulk change does not come on")
            answer = _sum(answer, more)
        return answer

    async def stats(self) -> dict[str, Any]:
        """Ask how many jobs wait and run, by type, pool and key."""
        return await self._document("/api/stats", "types")

    async def job_types(self) -> list[dict[str, Any]]:
        """Ask which job types there are, with their schemas, and whether they could be run."""
        found = (await self._document("/api/job-types", "jobTypes"))["jobTypes"]
        return [one for one in found if isinstance(one, dict)]

    async def _bulk(self, wish: BulkRequest) -> BulkAnswer:
        body = wish.model_dump_json(by_alias=True, exclude_none=True).encode()
        call = Call(
            method="POST",
            path="/api/jobs/bulk",
            headers={"Content-Type": "application/json"},
            body=lambda: body,
        )
        document = (await self._wire.ask(call, self._until())).document
        return judge(_BULK, "bulk", document, {}, whole=False)

    async def _document(self, path: str, member: str) -> dict[str, Any]:
        document = (await self._wire.ask(Call(method="GET", path=path), self._until())).document
        if not isinstance(document, dict) or not isinstance(document.get(member), list):
            raise BadAnswer(f"the answer has no {member}")
        return document


def _ticket(document: object, key: str, *, replayed: bool) -> BatchTicket:
    if isinstance(document, dict) and isinstance(jobs := document.get("jobs"), list):
        name = parse_uuid(str(document.get("batchId")))
        if name is not None:
            return BatchTicket(
                batch_id=BatchId(name),
                status=str(document.get("status", "")),
                status_url=str(document.get("statusUrl", "")),
                jobs=tuple(map(_in_place, jobs)),
                idempotency_key=key,
                replayed=replayed,
                document=document,
            )
    raise BadAnswer("the answer to a batch is none")


def _in_place(one: object) -> Ticket | UketsukeError:
    if isinstance(one, dict) and isinstance(problem := one.get("problem"), dict):
        return from_answer(0, problem)
    return read_ticket(one)


def _sum(first: BulkAnswer, more: BulkAnswer) -> BulkAnswer:
    """Put two answers to one wish together."""
    numbers = ("matched", "changed", "skipped", "unknown")
    sums = {name: getattr(first, name) + getattr(more, name) for name in numbers}
    rest = {"is_complete": more.is_complete, "next_cursor": more.next_cursor}
    sample = (first.sample + more.sample)[:10]
    return first.model_copy(update={**sums, **rest, "sample": sample})


def _checked(batch_id: BatchId | str) -> str:
    if parse_uuid(str(batch_id)) is None:
        raise UnknownBatch(f"{clean(batch_id, 64)!r} is no batch id")
    return str(batch_id)
