"""What stands round the parts of a worker: a store that does as it is told, and ears."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic import BaseModel

from back_service.runner import OpenContext
from back_service.telling import Teller
from shared.contract.authoring import Handler
from shared.contract.events import News, decode_news
from shared.contract.ids import JobId
from shared.contract.jobs import Job
from shared.contract.states import MOVES, State
from shared.store.pool import Locked, Rejected
from shared.store.rows import OutboxRow
from shared.store.work import Claimed, Finished, Ruling, Settled, WorkStore
from tests.support.builders import a_job


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


@dataclass
class FakeWork:
    """A store of work in memory. *troubles* are raised, one a question, before it answers."""

    states: dict[JobId, State] = field(default_factory=dict)
    tokens: dict[JobId, int] = field(default_factory=dict)
    following: dict[JobId, Job] = field(default_factory=dict)  # claimed when another one ends
    poison: set[JobId] = field(default_factory=set)  # verdicts with a result that is refused
    hopeless: set[JobId] = field(default_factory=set)  # verdicts of which none is ever taken
    held: set[JobId] = field(default_factory=set)  # jobs that somebody else is at
    troubles: list[BaseException | None] = field(default_factory=list)
    claims: list[list[JobId]] = field(default_factory=list)
    locked: list[bool] = field(default_factory=list)  # whether each claim locked its keys
    later: list[list[JobId]] = field(default_factory=list)
    batches: list[list[Ruling]] = field(default_factory=list)
    again: list[bool] = field(default_factory=list)  # whether each finish was in doubt
    told: list[tuple[JobId, int, int, str]] = field(default_factory=list)
    renewals: list[dict[JobId, int]] = field(default_factory=list)
    jobs: dict[JobId, Job] = field(default_factory=dict)

    def add(self, **facts: Any) -> Job:
        """Have a job that runs."""
        job = a_job(**facts)
        self.states[job.id], self.tokens[job.id] = State.RUNNING, job.token
        self.jobs[job.id] = job
        return job

    def queue(self, **facts: Any) -> JobId:
        """Have a job that waits to be claimed."""
        job = self.add(**facts)
        self.states[job.id] = State.QUEUED
        return job.id

    async def claim(
        self, job_ids: Sequence[JobId], *, keyed: bool, later: Sequence[JobId] = ()
    ) -> Claimed:
        self._maybe_trouble()
        self.claims.append(list(job_ids))
        self.locked.append(keyed)
        if later:
            self.later.append(list(later))
        wanted = dict.fromkeys(job_ids)
        got = [self.jobs[i] for i in wanted if self.states.get(i) is State.QUEUED]
        for job in got:
            self.states[job.id] = State.RUNNING
        rows = [_row(later)] if later else []
        return Claimed(jobs=got, rows=rows)

    async def finish(self, rulings: Sequence[Ruling], *, again: bool = False) -> Settled:
        self._maybe_trouble()
        self.again.append(again)
        if any(r.job.id in self.poison and r.verdict.result is not None for r in rulings):
            raise Rejected("the database does not take this")
        if any(ruling.job.id in self.hopeless for ruling in rulings):
            raise Rejected("never")
        if any(ruling.job.id in self.held for ruling in rulings):
            raise Locked("somebody else is at it")
        self.batches.append(list(rulings))
        settled = Settled()
        for ruling in rulings:
            settled.finished.append(self._finish(ruling))
            settled.news.append(News(ruling.job.id, 3))
        return settled

    async def renew(self, held: Mapping[JobId, int]) -> dict[JobId, State]:
        self._maybe_trouble()
        self.renewals.append(dict(held))
        live = (State.RUNNING, State.CANCELLING)
        return {
            job_id: self.states[job_id]
            for job_id, token in held.items()
            if self.states.get(job_id) in live and self.tokens.get(job_id) == token
        }

    async def cancelling(self, job_ids: Sequence[JobId]) -> list[JobId]:
        self._maybe_trouble()
        return [i for i in job_ids if self.states.get(i) is State.CANCELLING]

    async def progress(self, told: Sequence[tuple[JobId, int, int, str]]) -> list[News]:
        self._maybe_trouble()
        self.told += told
        return [News(job_id, 2) for job_id, *_ in told]

    @property
    def as_store(self) -> WorkStore:
        return cast("WorkStore", self)

    def _finish(self, ruling: Ruling) -> Finished:
        job, state = ruling.job, self.states.get(ruling.job.id)
        goal = None if state is None else MOVES[ruling.verdict.move].get(state)
        if goal is None or self.tokens[job.id] != job.token:
            return Finished(state=None)
        self.states[job.id] = goal
        following = self.following.get(job.id) if ruling.has_turn else None
        return Finished(state=goal, next=following)

    def _maybe_trouble(self) -> None:
        trouble = self.troubles.pop(0) if self.troubles else None
        if trouble is not None:
            raise trouble


def _row(job_ids: Sequence[JobId]) -> OutboxRow:
    return OutboxRow(
        id=1, route="jobs.default.normal", job_ids=tuple(job_ids), keyed=False, track_ids=""
    )


class Ears:
    """Hears what is told to the fronts, and which knocks go out."""

    def __init__(self) -> None:
        self.news: list[News] = []
        self.messages = 0
        self.rows: list[OutboxRow] = []

    def offer(self, body: bytes) -> None:
        self.messages += 1
        self.news += decode_news(body)

    def send(self, rows: Sequence[OutboxRow]) -> None:
        self.rows += rows

    @property
    def as_teller(self) -> Teller:
        return Teller(cast("Any", self), cast("Any", self))


class FakeContext:
    """What a handler is given; notes that it was closed."""

    def __init__(self, handle: Callable[..., Awaitable[object]] | None = None) -> None:
        self.is_closed = self.has_told = False
        self._handle = handle

    async def tell_last(self) -> None:
        self.has_told = not self.is_closed

    async def close(self) -> None:
        self.is_closed = True

    async def handle(self, handler: Handler, request: BaseModel) -> object:
        assert self._handle is not None
        return await self._handle(handler, request)

    @property
    def as_context(self) -> OpenContext:
        return cast("OpenContext", self)
