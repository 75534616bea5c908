"""Take a batch in: vet every submission, store what is good in one commit, answer each in place."""

import asyncio
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, Protocol

import orjson
import structlog
from pydantic import ValidationError

from front_service.admission import Admission, Posts, Tells
from front_service.batch_bodies import Asked, Entry
from front_service.pointers import Mistake, mistake
from front_service.push.batches import ReadsBatches, read_batch_id
from front_service.refusals import Bug, problem_document
from front_service.vetting import Ask, check_idempotency_key, told
from shared.contract.batches import BatchEntry, BatchView, batch_links
from shared.contract.errors import BatchRefused, Invalid, UketsukeError, Unavailable
from shared.contract.events import encode_news
from shared.contract.ids import BatchId, JobId, TenantId, TrackId, parse_uuid
from shared.contract.jobs import Idempotency, Submission
from shared.contract.states import STATUS, State, Status
from shared.contract.status import ticket
from shared.runtime.clock import Clock, fresh_job_id
from shared.runtime.metrics import FrontMetrics
from shared.store.batch_intake import Bundle, Torn, Written
from shared.store.batches import Admitted
from shared.store.rows import OutboxRow

log: Final = structlog.get_logger()

_MOST: Final = 16  # batches that are read or written at the same time
_AT_A_TIME: Final = 25  # submissions between two turns of everybody else
_OURS = re.compile(r"/(job|callbackUrl)(/|$)")


class AdmitsBatches(Protocol):
    async def admit(self, bundle: Bundle) -> Written:
        """As ``BatchIntake.admit``."""


class ReadsStates(ReadsBatches, Protocol):
    async def states(self, tenant: TenantId, job_ids: Iterable[JobId]) -> dict[JobId, State]:
        """As ``BatchRows.states``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchAsk:
    """What one caller asks; *raw* is the body by which a repeated request is known again."""

    tenant: TenantId
    caller: str
    asked: Asked
    raw: bytes
    track_id: TrackId
    traceparent: str | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class BatchTicket:
    """The answer to a batch: the document, and whether the batch is an earlier one."""

    document: dict[str, Any]
    replayed: bool


class Batching:
    def __init__(
        self,
        *,
        admission: Admission,
        intake: AdmitsBatches,
        reads: ReadsStates,
        post: Posts,
        fan_out: Tells,
        metrics: FrontMetrics,
        clock: Clock,
    ) -> None:
        self._admission, self._intake, self._reads = admission, intake, reads
        self._post, self._fan_out = post, fan_out
        self._metrics, self._clock = metrics, clock
        self._under_way = 0

    async def batch(self, tenant: TenantId, text: str) -> BatchView:
        """Find the batch *text* names; raise ``UnknownBatch`` or ``Gone``."""
        return await self._reads.batch(tenant, read_batch_id(text))

    @contextmanager
    def room(self, idempotency_key: str | None) -> Iterator[None]:
        """Have room for one batch; refuse what no body could make acceptable before it is read.

        A batch is a lot of memory while it is read: raises ``Unavailable`` if there are many.
        """
        check_idempotency_key(idempotency_key)
        self._admission.check_room()
        if self._under_way >= _MOST:
            raise Unavailable("Too many batches are handed in at once", retry_after=1)
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    def check_size(self, asked: Asked) -> None:
        """Raise ``TooLarge`` for more than is ever taken at once, before anything is counted."""
        self._admission.check_burst(len(asked.entries))

    async def submit(self, ask: BatchAsk) -> BatchTicket:
        """Accept what is good of a batch; raise ``BatchRefused`` if nothing of it is kept.

        Each submission counts as a submit: raises ``QuotaReached`` if they are too many by now.
        """
        self._admission.charge(len(ask.asked.entries))
        batch_id = BatchId(fresh_job_id())
        judged = await self._judged(ask, batch_id)
        good = {n: one for n, one in enumerate(judged) if isinstance(one, Submission)}
        if not good or (ask.asked.atomic and len(good) < len(judged)):
            raise _refused(judged, {}, ask)
        bundle = _bundle(ask, batch_id, judged, good)
        began = self._clock.monotonic()
        try:
            written = await self._intake.admit(bundle)
        except Torn as torn:
            raise _refused(judged, torn.refusals, ask) from None
        confirmed = await self._publish(written)
        if not written.replayed:
            seconds = self._clock.monotonic() - began
            for one in orjson.loads(written.answer):
                if "jobId" in one and "existing" not in one:
                    self._metrics.accepted(one["type"], confirmed=confirmed, seconds=seconds)
        log.info(
            "batch accepted",
            batch_id=str(written.id),
            submissions=len(judged),
            replayed=written.replayed,
        )
        return BatchTicket(await self._document(ask.tenant, written), written.replayed)

    async def _judged(self, ask: BatchAsk, batch_id: BatchId) -> list[Submission | UketsukeError]:
        judged: list[Submission | UketsukeError] = []
        for place, entry in enumerate(ask.asked.entries):
            if place % _AT_A_TIME == 0:
                await asyncio.sleep(0)
            judged.append(self._judge(ask, entry, batch_id))
        return judged

    def _judge(self, ask: BatchAsk, entry: Entry, batch_id: BatchId) -> Submission | UketsukeError:
        if isinstance(entry, UketsukeError):
            return entry
        try:
            return replace(self._vetted(ask, entry), batch=batch_id)
        except UketsukeError as error:
            return error
        except Exception:  # a bug in one request model is no reason to lose the others
            log.exception("submission not judged")
            return Bug()

    def _vetted(self, ask: BatchAsk, entry: Mapping[str, Any]) -> Submission:
        try:
            wanted = BatchEntry.model_validate(entry)
        except ValidationError as error:
            raise Invalid(told(error, entry)) from None
        ours = {"job": wanted.job, "callbackUrl": wanted.callback_url}
        if taken := sorted(ours.keys() & wanted.request.keys()):
            raise Invalid([mistake(("request", name), "is reserved") for name in taken])
        said = {name: value for name, value in ours.items() if value is not None}
        one = Ask(
            tenant=ask.tenant,
            caller=ask.caller,
            type=wanted.type,
            members=wanted.request | said,
            track_id=ask.track_id,
            traceparent=ask.traceparent,
        )
        try:
            return self._admission.vet(one)
        except Invalid as error:
            raise Invalid(_moved(error)) from None

    async def _publish(self, written: Written) -> bool | None:
        """Let the workers and whoever watches know; wait for the broker as a submit does.

        ``None``: there was nothing to wait for.
        """
        if written.news:
            self._fan_out.offer(encode_news(list(written.news)))
        told = await asyncio.gather(*(self._confirmed(row) for row in written.rows))
        return all(told) if told else None

    async def _confirmed(self, row: OutboxRow) -> bool:
        try:
            return await self._post.confirmed(row)
        except Exception:
            log.exception("knock failed")  # the jobs are stored: no mistake of ours changes that
            return False

    async def _document(self, tenant: TenantId, written: Written) -> dict[str, Any]:
        entries = orjson.loads(written.answer)
        asked = [
            one for one in entries if "jobId" in one and (written.replayed or "existing" in one)
        ]
        ids = [found for one in asked if (found := parse_uuid(one["jobId"])) is not None]
        states = await self._reads.states(tenant, map(JobId, ids)) if ids else {}
        known = {str(job_id): STATUS[state] for job_id, state in states.items()}
        name = str(written.id)
        places = batch_links(name)
        view = await self._reads.batch(tenant, written.id) if written.replayed else None
        return {
            "batchId": name,
            "status": Status.COMPLETED if view and view.has_ended else Status.PROCESSING,
            "statusUrl": places["self"],
            "createdAt": written.at,
            "accepted": sum("jobId" in one for one in entries),
            "refused": sum("problem" in one for one in entries),
            "jobs": [_in_place(one, written.at, known) for one in entries],
            "_links": places,
        }


def _bundle(
    ask: BatchAsk,
    batch_id: BatchId,
    judged: Sequence[Submission | UketsukeError],
    good: Mapping[int, Submission],
) -> Bundle:
    def describe(outcomes: Mapping[JobId, Admitted | UketsukeError]) -> bytes:
        return orjson.dumps([_entry(one, outcomes, ask.track_id) for one in judged])

    return Bundle(
        id=batch_id,
        tenant=ask.tenant,
        track_id=ask.track_id,
        submissions=list(good.values()),
        places={submission.id: place for place, submission in good.items()},
        refused=len(judged) - len(good),
        atomic=ask.asked.atomic,
        describe=describe,
        idempotency=_idempotency(ask),
    )


def _idempotency(ask: BatchAsk) -> Idempotency | None:
    if ask.idempotency_key is None:
        return None
    found = sha256(ask.tenant.bytes + (b"atomic batch\n" if ask.asked.atomic else b"batch\n"))
    found.update(ask.raw)
    return Idempotency(caller=ask.caller, key=ask.idempotency_key, fingerprint=found.digest())


def _entry(
    judged: Submission | UketsukeError,
    outcomes: Mapping[JobId, Admitted | UketsukeError],
    track_id: str,
) -> dict[str, Any]:
    """Write down what became of one submission, as short as it can be told again from."""
    outcome = outcomes[judged.id] if isinstance(judged, Submission) else judged
    if isinstance(outcome, UketsukeError) or not isinstance(judged, Submission):
        return {"problem": problem_document(outcome, track_id)}  # type: ignore[arg-type]
    entry: dict[str, Any] = {"jobId": str(outcome.accepted.job_id), "type": judged.type}
    if outcome.accepted.existing:
        entry["existing"] = True
    return entry


def _refused(
    judged: Sequence[Submission | UketsukeError],
    refusals: Mapping[JobId, UketsukeError],
    ask: BatchAsk,
) -> BatchRefused:
    """Say in place what is wrong; what would have been good is an empty place."""
    jobs: list[dict[str, Any]] = []
    for one in judged:
        error = refusals.get(one.id) if isinstance(one, Submission) else one
        jobs.append({} if error is None else {"problem": problem_document(error, ask.track_id)})
    bad = sum(map(bool, jobs))
    return BatchRefused(f"{bad} of {len(jobs)} submissions are refused.", jobs=jobs)


def _in_place(entry: dict[str, Any], at: datetime, known: Mapping[str, Status]) -> dict[str, Any]:
    if "problem" in entry:
        return entry
    document = ticket(entry["type"], entry["jobId"], at)
    document["status"] = known.get(entry["jobId"], document["status"])
    if "existing" in entry:
        document["existing"] = True
        del document["createdAt"]  # that was earlier
    return document


def _moved(error: Invalid) -> list[Mistake]:
    """Say where a mistake is in the entry: the members of the request are a step further down."""
    found: Any = error.members["errors"]
    return [
        one if _OURS.match(one["pointer"]) else one | {"pointer": "/request" + one["pointer"]}
        for one in found
    ]
