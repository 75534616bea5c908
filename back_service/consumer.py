"""Answer knocks: claim what there is room for, let the broker go, run, and follow each lane.

A knock is acknowledged after the commit that claimed its jobs: custody passes from the broker
to the leases. What is claimed here runs in tasks of our own, never in the broker's callbacks.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Final, Protocol

import structlog

from back_service.ahead import Ahead
from back_service.finishing import Finisher
from back_service.knocks import Hand, InHand, Picked, shelved
from back_service.leases import Leases
from back_service.lines import Lines
from back_service.runner import LeaseLost, Runner
from back_service.telling import Teller
from back_service.verdict import verdict
from shared.broker.delivery import Delivery, ack_all
from shared.broker.early import Heard
from shared.contract.errors import Unavailable
from shared.contract.events import News
from shared.contract.ids import JobId, TenantId
from shared.contract.job_types import Catalogue
from shared.contract.jobs import Job
from shared.contract.messages import NewerKnock, UnreadableKnock, decode_knock
from shared.contract.outcomes import Verdict
from shared.contract.states import State
from shared.runtime.clock import Clock
from shared.runtime.metrics import BackMetrics
from shared.runtime.track import follow
from shared.store.pool import Rejected
from shared.store.work import Ruling, WorkStore

log = structlog.get_logger()

_HEAD_START: Final = 2  # turns of the loop for a short job to reach the database before our chores
_LOOK: Final = 0.25  # seconds between two looks at knocks that are kept too long
_LAST_WORDS: Final = timedelta(seconds=4)  # of the drain: for interrupted handlers to be recorded
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 2.0


class Knocks(Protocol):
    """Where knocks come from: as ``Subscriber``."""

    news: asyncio.Event
    early: deque[Heard]

    @property
    def waiting(self) -> Mapping[str, deque[Delivery]]: ...

    async def pause(self) -> None:
        """Bring no more."""


class Consumer:
    """A service. Cancelled, it drains: takes no more, ends what it can, gives back the rest."""

    name = "consumer"

    def __init__(
        self,
        *,
        work: WorkStore,
        runner: Runner,
        leases: Leases,
        finisher: Finisher,
        subscriber: Knocks,
        teller: Teller,
        catalogue: Catalogue,
        clock: Clock,
        metrics: BackMetrics,
        concurrency: int,
        turn: int,
        drain: timedelta,
        lines: Lines,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._work, self._runner, self._leases, self._finisher = work, runner, leases, finisher
        self._subscriber, self._teller, self._catalogue = subscriber, teller, catalogue
        self._clock, self._dice, self._turn, self._metrics = clock, dice, turn, metrics
        metrics.gauge("uketsuke_slots", "Attempts that may run at once", lambda: concurrency)
        metrics.gauge("uketsuke_slots_in_use", "Attempts that run", lambda: len(self._lanes))
        self._drain = max(drain - _LAST_WORDS, drain / 2).total_seconds()
        self._hand = Hand(subscriber.waiting)
        self._ahead = Ahead(subscriber.early)
        self._answered: list[Delivery] = []  # by an early claim; not yet acknowledged
        self._slots, self._lines = concurrency, lines
        self._kept_for_high = 1 if concurrency > 1 else 0
        self._lanes: set[asyncio.Task[None]] = set()
        self._is_leaving = False

    async def run(self) -> None:
        answering = asyncio.create_task(self._answer_knocks(), name="knocks")
        try:
            await asyncio.shield(answering)
        finally:
            self._is_leaving = True
            self._subscriber.news.set()
            await asyncio.wait((answering,))  # a claim that is under way is not torn
            await self._leave()

    async def _answer_knocks(self) -> None:
        while not self._is_leaving:
            await self._wait()
            await self._let_go()
            await self._answer()
            await self._give_back_late()
        await self._let_go()

    @property
    def free(self) -> int:
        return self._slots - len(self._lanes)

    async def _wait(self) -> None:
        """Sleep until a knock comes or a slot is free; look up now and then meanwhile."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK):
                await self._subscriber.news.wait()
        self._subscriber.news.clear()

    async def _let_go(self) -> None:
        """Acknowledge knocks that came after their jobs, one turn later than they came.

        The broker writes an ack to its disk, and at once that would be in the way of the record
        of a short job, which somebody waits for.
        """
        answered, self._answered = self._answered, []
        await ack_all(answered)

    async def _answer(self) -> None:
        await self._answer_early()
        while not self._is_leaving and (picked := await self._pick()).job_ids:
            jobs, asked_at = await self._claim(picked)
            await self._begin(jobs, asked_at)
            if jobs or not self._is_leaving:
                await ack_all(picked.done or await self._spend(len(jobs)))
            self._lines.is_full = self.free <= self._kept_for_high

    async def _spend(self, count: int) -> list[Delivery]:
        """Let go of knocks for as many jobs as were chosen in the place of theirs."""
        if not self._lines.is_on or not count:
            return []
        await self._open(count)
        return self._hand.pick(count).done

    async def _answer_early(self) -> None:
        """Claim what early knocks name, one try each, while there is nothing else to do.

        Not while tenants take turns: it would be out of turn.
        """
        while (heard := self._ahead.next()) is not None:
            if self._is_leaving or not self._is_idle():
                continue
            message_id, knock = heard
            asked_at = self._clock.monotonic()
            with suppress(Unavailable, Rejected):
                claimed = await self._work.claim(knock.job_ids, keyed=knock.keyed)
                self._ahead.note(message_id, (job.id for job in claimed.jobs))
                await self._begin(claimed.jobs, asked_at)

    def _is_idle(self) -> bool:
        """Whether slots are free, and nobody waits for them whom we know of."""
        has_knocks = len(self._hand) > 0 or any(self._subscriber.waiting.values())
        return self.free > self._kept_for_high and not has_knocks and not self._lines.is_on

    async def _begin(self, jobs: Sequence[Job], asked_at: float) -> None:
        """Start what was claimed; one that did not come back was a duplicate, or has no turn."""
        for job in jobs:
            self._start(job, asked_at)
        for _ in range(_HEAD_START):
            await asyncio.sleep(0)
        self._teller.tell([News(job.id, job.sequence) for job in jobs])

    async def _pick(self) -> Picked:
        """Choose what to claim for the free slots; the last one is kept for high priority."""
        free = self.free
        self._lines.is_full = free <= self._kept_for_high
        if free <= 0:
            return Picked()
        hand = self._lines if self._lines.is_on else self._hand
        if hand is self._hand:
            await self._open(free)
        usual = hand.pick(free - self._kept_for_high)
        if usual.job_ids or free > self._kept_for_high:
            return usual
        return hand.pick(free, only_high=True)

    async def _open(self, free: int) -> None:
        """Take knocks in hand until they name enough jobs for the free slots."""
        now = self._clock.monotonic()
        for route, deliveries in self._subscriber.waiting.items():
            while deliveries and self._hand.named(route) < free:
                await self._take(self._hand, deliveries.popleft(), now)

    async def _take(self, hand: Hand, delivery: Delivery, now: float) -> None:
        """Take a knock in *hand*; one that cannot be read goes to the dead letters.

        One that is newer than this worker is let go: whoever knows its jobs will hear of them.
        """
        try:
            knock = decode_knock(delivery.body)
            if self._ahead.has_claimed(delivery.message_id, knock):
                self._answered.append(delivery)
            else:
                hand.take(delivery, knock, now)
        except NewerKnock:
            log.warning("knock is newer than this worker", **delivery.origin())
            self._metrics.misread(newer=True)
            await delivery.ack()
        except UnreadableKnock as why:
            log.warning("knock rejected", why=str(why), **delivery.origin())
            self._metrics.misread(newer=False)
            await delivery.reject()

    async def _claim(self, picked: Picked) -> tuple[Sequence[Job], float]:
        """Claim until the database answers: the knocks are kept meanwhile.

        Answer when the question was asked that was answered: from then on the leases count.
        """
        pause = _FIRST_PAUSE
        while not self._is_leaving:
            asked_at = self._clock.monotonic()
            try:
                claimed = await self._work.claim(picked.job_ids, keyed=picked.keyed)
            except (Unavailable, Rejected) as error:
                log.warning("claim not possible", jobs=len(picked.job_ids), why=str(error))
                await asyncio.sleep(pause)
                pause = min(_LONGEST_PAUSE, pause * 2)
            else:
                return claimed.jobs, asked_at
        return [], self._clock.monotonic()

    def _start(self, job: Job, asked_at: float) -> None:
        task = asyncio.create_task(self._follow(job, asked_at), name="lane")
        self._lanes.add(task)
        self._lines.started(job.tenant)
        task.add_done_callback(partial(self._ended, job.tenant))

    def _ended(self, tenant: TenantId, task: asyncio.Task[None]) -> None:
        self._lanes.discard(task)
        self._lines.ended(tenant)
        self._subscriber.news.set()  # a slot is free

    async def _follow(self, job: Job | None, asked_at: float) -> None:
        """Run *job*, and after it whatever its lane still has a turn for."""
        turns = self._turn
        while job is not None:
            turns -= 1
            follow(job.track_id)
            here = job.id
            try:
                job, asked_at = await self._attend(job, asked_at, has_turn=turns > 0)
            except Exception:  # a bug of ours: the lease lapses, and the job is rescued
                log.exception("lane failed", job_id=str(here))
                return

    async def _attend(
        self, job: Job, asked_at: float, *, has_turn: bool
    ) -> tuple[Job | None, float]:
        """Run one job to its record; answer the next of its key if that was claimed with it."""
        _log_start(job)
        self._metrics.started(job.type, waited_ms=job.waited_ms)
        begun = self._clock.monotonic()
        with self._leases.hold(job, asked_at=asked_at) as held:
            try:
                outcome = await self._runner.run(job, held)
            except LeaseLost:
                log.warning("lease lost", job_id=str(job.id), token=job.token)
                return None, asked_at
            ruling = verdict(outcome, job, self._catalogue[job.type].retries, self._dice())
            goes_on = has_turn and not self._is_leaving and self._lines.lets_go_on(job.tenant)
            record = await self._finisher.finish(Ruling(job=job, verdict=ruling, has_turn=goes_on))
        state, seconds = record.finished.state, self._clock.monotonic() - begun
        self._metrics.ended(job.type, ruling.move, seconds=seconds, fenced=state is None)
        _log_end(job, ruling, state, seconds)
        return record.finished.next, record.asked_at

    async def _give_back_late(self) -> None:
        """Let other workers hear of jobs that we have had no room for."""
        now = self._clock.monotonic()
        late = self._hand.release(now)
        unopened = shelved(self._subscriber.waiting, now)
        await self._give_back(late)
        if unopened:
            hand = Hand(self._subscriber.waiting)
            for delivery in unopened:
                await self._take(hand, delivery, 0)
            await self._give_back(hand.release(now))

    async def _give_back(self, late: Sequence[InHand]) -> None:
        if not late:
            return
        ids: list[JobId] = [job_id for knock in late for job_id in knock.left]
        keyed = any(knock.keyed for knock in late)
        try:
            claimed = await self._work.claim([], keyed=keyed, later=ids)
        except (Unavailable, Rejected):
            for knock in late:
                self._hand.restore(knock, self._clock.monotonic())
            return
        self._teller.tell(rows=claimed.rows)
        await ack_all(knock.delivery for knock in late)
        log.info("jobs offered to other workers", jobs=len(ids))

    async def _leave(self) -> None:
        """Take no more, wait for what runs, then give back what is left unfinished."""
        log.info("draining", running=len(self._lanes))
        self._hand.forget()
        await self._subscriber.pause()
        if self._lanes:
            await asyncio.wait(self._lanes, timeout=self._drain)
        if self._lanes:
            log.info("interrupting", running=len(self._lanes))
            self._leases.interrupt()
            await asyncio.wait(self._lanes, timeout=_LAST_WORDS.total_seconds())
        log.info("drained", left=len(self._lanes))


def _log_start(job: Job) -> None:
    log.info(
        "job started",
        job_id=str(job.id),
        type=job.type,
        attempt=job.attempt,
        waited_ms=job.waited_ms,
    )


def _log_end(job: Job, ruling: Verdict, state: State | None, seconds: float) -> None:
    log.info(
        "job fenced" if state is None else "job attempt ended",
        job_id=str(job.id),
        move=ruling.move,
        state=state,
        code=ruling.failure.code if ruling.failure else None,
        took_ms=round(seconds * 1000, 1),
    )
