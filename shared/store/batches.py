"""What a batch of submissions is made of: names known already, blobs, places, and the arrays.

Each answers for the whole batch in one statement, inside the transaction of whoever asks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import asyncpg

from shared.contract.errors import IdempotencyMismatch, Invalid, Undecided
from shared.contract.events import News
from shared.contract.ids import BatchId, JobId, TenantId
from shared.contract.jobs import Accepted, Idempotency, Submission
from shared.store.pool import Connection
from shared.store.rows import OutboxRow
from shared.store.sql import statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """What became of a submission; *row* is the knock whose confirm a 202 waits for, if any.

    *others* are knocks for jobs that may run now that it has replaced some, *news* are of those,
    *batches* are theirs.
    """

    accepted: Accepted
    row: OutboxRow | None = None
    others: tuple[OutboxRow, ...] = ()
    news: Sequence[News] = ()
    batches: frozenset[BatchId] = frozenset()


class Named(Protocol):
    """What may bear an Idempotency-Key: a submission, or a whole batch of them."""

    @property
    def id(self) -> JobId: ...
    @property
    def tenant(self) -> TenantId: ...
    @property
    def idempotency(self) -> Idempotency | None: ...


async def remembered(
    connection: "Connection[Any]", batch: Sequence[Named]
) -> dict[JobId, Admitted | BaseException]:
    """Answer those whose Idempotency-Key was taken already, in this batch or before."""
    named = [(s, s.idempotency) for s in batch if s.idempotency is not None]
    if not named:
        return {}
    tenants, callers = [s.tenant for s, _ in named], [name.caller for _, name in named]
    keys, prints = [name.key for _, name in named], [name.fingerprint for _, name in named]
    ids = [s.id for s, _ in named]
    won = await connection.fetch(statement("remember"), tenants, callers, keys, prints, ids)
    new = {row["job_id"] for row in won}
    if len(new) == len(named):
        return {}
    seen = await connection.fetch(statement("recall"), tenants, callers, keys)
    known = {(row["tenant"], row["caller"], row["key"]): row for row in seen}
    return {
        s.id: _recalled(name.fingerprint, known.get((s.tenant, name.caller, name.key)))
        for s, name in named
        if s.id not in new
    }


def _recalled(fingerprint: bytes, known: asyncpg.Record | None) -> Admitted | BaseException:
    if known is None:  # its owner rolled back or was forgotten between our two looks
        return Undecided(retry_after=1)
    if known["fingerprint"] != fingerprint:
        return IdempotencyMismatch()
    return Admitted(accepted=Accepted(job_id=known["job_id"], at=known["at"], replayed=True))


async def without_blobs(
    connection: "Connection[Any]", batch: Sequence[Submission]
) -> dict[JobId, BaseException]:
    """Note the blobs that jobs use; answer those that name one which is not there."""
    uses = [(blob_id, s.tenant, s.id) for s in batch for blob_id in s.blobs]
    if not uses:
        return {}
    found = await connection.fetch(statement("use_blobs"), *zip(*uses, strict=True))
    there = {(row["blob_id"], row["job_id"]) for row in found}
    return {
        job_id: Invalid([{"pointer": "", "detail": f"there is no blob {blob_id}"}])
        for blob_id, _, job_id in uses
        if (blob_id, job_id) not in there
    }


async def places(
    connection: "Connection[Any]", batch: Sequence[Submission]
) -> dict[JobId, tuple[int, bool]]:
    """Give every keyed submission its place in its key, and say whether it is the head."""
    keyed = [s for s in batch if s.ordering_key is not None]
    if not keyed:
        return {}
    rows = await connection.fetch(
        statement("places"),
        [s.id for s in keyed],
        [s.tenant for s in keyed],
        [s.ordering_key for s in keyed],
    )
    lanes = {(row["tenant"], row["key"]): row for row in rows}
    waiting: dict[tuple[TenantId, str | None], list[Submission]] = {}
    for submission in keyed:
        waiting.setdefault((submission.tenant, submission.ordering_key), []).append(submission)
    return {
        s.id: (lanes[name]["tail"] - len(lane) + place, lanes[name]["head"] == s.id)
        for name, lane in waiting.items()
        for place, s in enumerate(lane, 1)
    }


def arrays(
    batch: Sequence[Submission], places: Mapping[JobId, tuple[int, bool]]
) -> list[list[Any]]:
    """Turn a batch into the arrays of ``submit.sql``, in the order of its parameters."""
    spots = [places.get(s.id, (None, True)) for s in batch]
    return [
        [s.id for s in batch],
        [s.tenant for s in batch],
        [s.type for s in batch],
        [s.pool for s in batch],
        [s.priority for s in batch],
        [s.ordering_key for s in batch],
        [seq for seq, _ in spots],
        [s.blocks for s in batch],
        [is_head for _, is_head in spots],
        [s.delay for s in batch],
        [s.run_at for s in batch],
        [s.start_deadline for s in batch],
        [s.deadline for s in batch],
        [s.max_age for s in batch],
        [s.max_attempts for s in batch],
        [s.result_ttl for s in batch],
        [s.track_id for s in batch],
        [s.traceparent for s in batch],
        [",".join(s.tags) for s in batch],
        [s.callback_url for s in batch],
        [",".join(s.callback_events) for s in batch],
        [s.request for s in batch],
        [s.unique.key if s.unique is not None and s.unique.lasts is None else None for s in batch],
        [s.batch for s in batch],
    ]
