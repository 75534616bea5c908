"""Admit a lot of submissions in one transaction: known names, unique keys, blobs, places, rows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from shared.contract.events import News
from shared.contract.ids import JobId
from shared.contract.jobs import Accepted, Submission
from shared.contract.states import ENDINGS, Move, State, edges
from shared.store.batch_rows import left_by
from shared.store.batches import Admitted, arrays, places, remembered, without_blobs
from shared.store.names import Holder, Judged, judged
from shared.store.pool import Connection
from shared.store.rows import OutboxRow, outbox_row
from shared.store.sql import statement

Answers = dict[JobId, Admitted | BaseException]


class Spoilt(Exception):
    """Some of the lot can never be jobs, so that nothing of it was kept: *why*, for each."""

    def __init__(self, why: Mapping[JobId, BaseException]) -> None:
        super().__init__()
        self.why = why


def is_plain(lot: Sequence[Submission]) -> bool:
    """Say whether one statement is enough: it is its own transaction."""
    return not any(s.ordering_key or s.idempotency or s.blobs or s.unique for s in lot)


async def decide(
    connection: "Connection[Any]", lot: Sequence[Submission], head_start: timedelta
) -> list[Admitted | BaseException]:
    """Part what is new from what was asked before, then insert what is new.

    Raises ``Spoilt`` for blobs nobody knows: nothing of what is refused may be kept.
    """
    answers: Answers = {**await remembered(connection, lot)}
    verdict = await judged(connection, [s for s in lot if s.id not in answers])
    answers |= verdict.refused
    new = [s for s in lot if s.id not in answers and s.id not in verdict.existing]
    if missing := await without_blobs(connection, new):
        raise Spoilt(missing)
    if verdict.replaced:
        await _hold_keys(connection, new, verdict.replaced)
    inserted = await insert(connection, new, head_start) if new else []
    answers |= {s.id: answer for s, answer in zip(new, inserted, strict=True)}
    _answer_existing(answers, verdict)
    if verdict.replaced:
        last = inserted[-1]  # whoever replaces is new
        answers[new[-1].id] = await _replace(connection, verdict.replaced, last, head_start)
    return [answers[submission.id] for submission in lot]


async def insert(
    connection: "Connection[Any]", lot: Sequence[Submission], head_start: timedelta
) -> list[Admitted]:
    """Insert all of *lot*, with their events and the knocks for those that may run."""
    spots = await places(connection, lot)
    posted = await connection.fetch(statement("submit"), *arrays(lot, spots), head_start)
    at = posted[0]["at"]
    knocks = [outbox_row(row) for row in posted if row["id"] is not None]
    knock_of = {job_id: knock for knock in knocks for job_id in knock.job_ids}
    return [Admitted(accepted=Accepted(job_id=s.id, at=at), row=knock_of.get(s.id)) for s in lot]


async def knock(
    connection: "Connection[Any]", job_ids: Sequence[JobId], head_start: timedelta
) -> list[OutboxRow]:
    """Knock for those of *job_ids* that may run."""
    if not job_ids:
        return []
    rows = await connection.fetch(statement("knock"), list(job_ids), head_start)
    return [outbox_row(row) for row in rows]


def _answer_existing(answers: Answers, verdict: Judged) -> None:
    """Say which jobs those are that hold the unique keys; who repeats them is told the same."""
    at = {job_id: one.accepted.at for job_id, one in answers.items() if isinstance(one, Admitted)}
    for job_id, answer in answers.items():
        known = answer.accepted.job_id if isinstance(answer, Admitted) else None
        if known in verdict.refused:
            answers[job_id] = verdict.refused[known]
        elif known in verdict.existing and isinstance(answer, Admitted):
            answers[job_id] = replace(answer, accepted=_found(verdict.existing[known], at))
    for job_id, holder in verdict.existing.items():
        answers[job_id] = Admitted(accepted=_found(holder, at))


def _found(holder: Holder, at: Mapping[JobId, datetime]) -> Accepted:
    return Accepted(job_id=holder.job_id, at=holder.at or at[holder.job_id], existing=True)


async def _hold_keys(
    connection: "Connection[Any]", new: Sequence[Submission], replaced: Sequence[JobId]
) -> None:
    """Hold all keys in one order: those of the jobs that leave, and of those that come."""
    keyed = [s for s in new if s.ordering_key is not None]
    await connection.execute(
        statement("hold_heads"),
        [s.tenant for s in keyed],
        [s.ordering_key for s in keyed],
        list(replaced),
    )


async def _replace(
    connection: "Connection[Any]", replaced: Sequence[JobId], by: Admitted, head_start: timedelta
) -> Admitted:
    """Cancel the jobs whose unique keys were taken, let their keys go on, and say so with *by*."""
    moved = await connection.fetch(statement("replace"), list(replaced), *edges(Move.CANCEL))
    ended = [row["id"] for row in moved if State(row["state"]) in ENDINGS]
    heads = await connection.fetch(statement("advance"), ended) if ended else []
    ready = [row["head"] for row in heads if row["head"] is not None]
    news = [News(row["id"], row["sequence"]) for row in moved]
    rows = tuple(await knock(connection, ready, head_start))
    return replace(by, others=rows, news=news, batches=frozenset(left_by(moved)))
