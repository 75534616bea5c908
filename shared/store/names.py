"""Unique keys: which job holds one, and what becomes of a submission that finds it held.

Whoever looks at a key holds its row first, and looks at the job that has it in the next
statement: so of two that come at once the second sees what the first has done.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg

from shared.contract.errors import NotUnique
from shared.contract.ids import JobId, TenantId
from shared.contract.jobs import Idempotency, OnConflict, Submission, Uniqueness
from shared.contract.status import links
from shared.store.pool import Connection
from shared.store.sql import statement

Name = tuple[TenantId, str, str]


@dataclass(frozen=True, slots=True)
class Holder:
    """The job that is entitled to a unique key; without *at* it is still to be inserted."""

    job_id: JobId
    at: datetime | None = None


@dataclass(slots=True, kw_only=True)
class Judged:
    """Who is another job, who is refused, and which jobs must make room. All others are new."""

    existing: dict[JobId, Holder] = field(default_factory=dict)
    refused: dict[JobId, NotUnique] = field(default_factory=dict)
    replaced: list[JobId] = field(default_factory=list)


async def judged(connection: "Connection[Any]", batch: Sequence[Submission]) -> Judged:
    """Give the unique keys of a batch to those of it that are entitled to them, in its order.

    Who is new is to be inserted by the same transaction.
    """
    named = [(s, s.unique) for s in batch if s.unique is not None]
    if not named:
        return Judged()
    owners = await _owners(connection, named)
    holders: dict[Name, Holder] = await _entitled(connection, _others(owners, named))
    verdict = Judged()
    for submission, wish in named:
        name = _name(submission, wish)
        holder = holders.get(name)
        if holder is None or wish.on_conflict is OnConflict.REPLACE:
            verdict.replaced += [] if holder is None else [holder.job_id]
            holders[name] = Holder(submission.id)
        elif wish.on_conflict is OnConflict.REJECT:
            verdict.refused[submission.id] = _taken(submission.type, holder)
        else:
            verdict.existing[submission.id] = holder
    await _hand_over(connection, named, owners, holders)
    await _disown(connection, batch, verdict)
    return verdict


async def reclaimed(connection: "Connection[Any]", tenant: TenantId, job_id: JobId) -> None:
    """Give an ended job the unique key back that it held while it lived, if it had one.

    Raises ``NotUnique`` if another job holds it now. Nothing may be kept if no replay follows.
    """
    row = await connection.fetchrow(statement("claim_name"), tenant, job_id)
    if row is None or row["job_id"] == job_id:
        return
    holder = (await _entitled(connection, {_name_of(row): row})).get(_name_of(row))
    if holder is not None:
        raise _taken(row["type"], holder)
    await connection.execute(
        statement("take_names"), [tenant], [row["type"]], [row["key"]], [job_id], [None]
    )


async def _owners(
    connection: "Connection[Any]", named: Sequence[tuple[Submission, Uniqueness]]
) -> dict[Name, asyncpg.Record]:
    """Hold the keys, and say which job each belongs to: one of ours, if nobody had it."""
    first: dict[Name, tuple[Submission, Uniqueness]] = {}
    for submission, wish in named:
        first.setdefault(_name(submission, wish), (submission, wish))
    rows = await connection.fetch(
        statement("hold_names"),
        *_columns(first),
        [submission.id for submission, _ in first.values()],
        [wish.lasts for _, wish in first.values()],
    )
    return {_name_of(row): row for row in rows}


def _others(
    owners: Mapping[Name, asyncpg.Record], named: Sequence[tuple[Submission, Uniqueness]]
) -> dict[Name, asyncpg.Record]:
    ours = {submission.id for submission, _ in named}
    return {name: row for name, row in owners.items() if row["job_id"] not in ours}


async def _entitled(
    connection: "Connection[Any]", owners: Mapping[Name, asyncpg.Record]
) -> dict[Name, Holder]:
    """Leave out those whose time is over: the key is free then."""
    if not owners:
        return {}
    found = await connection.fetch(
        statement("name_holders"),
        [row["tenant"] for row in owners.values()],
        [row["job_id"] for row in owners.values()],
        [row["until"] for row in owners.values()],
    )
    holders = {one["id"]: Holder(one["id"], one["created_at"]) for one in found if one["holds"]}
    return {n: holders[row["job_id"]] for n, row in owners.items() if row["job_id"] in holders}


async def _hand_over(
    connection: "Connection[Any]",
    named: Sequence[tuple[Submission, Uniqueness]],
    owners: Mapping[Name, asyncpg.Record],
    holders: Mapping[Name, Holder],
) -> None:
    """Write down the new holders."""
    lasts = {submission.id: wish.lasts for submission, wish in named}
    new = {
        name: one.job_id for name, one in holders.items() if one.job_id != owners[name]["job_id"]
    }
    if new:
        await connection.execute(
            statement("take_names"),
            *_columns(new),
            list(new.values()),
            [lasts[job_id] for job_id in new.values()],
        )


async def _disown(
    connection: "Connection[Any]", batch: Sequence[Submission], verdict: Judged
) -> None:
    """Let an Idempotency-Key name the job that its request came to; none, if it was refused."""
    names: list[tuple[TenantId, Idempotency, JobId | None]] = [
        (
            s.tenant,
            s.idempotency,
            verdict.existing[s.id].job_id if s.id in verdict.existing else None,
        )
        for s in batch
        if s.idempotency is not None and (s.id in verdict.existing or s.id in verdict.refused)
    ]
    if names:
        await connection.execute(
            statement("disown"),
            [tenant for tenant, _, _ in names],
            [name.caller for _, name, _ in names],
            [name.key for _, name, _ in names],
            [job_id for _, _, job_id in names],
        )


def _taken(job_type: str, holder: Holder) -> NotUnique:
    name = str(holder.job_id)
    detail = "Another job of this type holds the unique key."
    return NotUnique(detail, job_id=name, links=links(job_type, name))


def _name(submission: Submission, wish: Uniqueness) -> Name:
    return submission.tenant, submission.type, wish.key


def _name_of(row: asyncpg.Record) -> Name:
    return row["tenant"], row["type"], row["key"]


def _columns(names: Mapping[Name, object]) -> tuple[list[TenantId], list[str], list[str]]:
    return [n[0] for n in names], [n[1] for n in names], [n[2] for n in names]
