"""Answering knocks: claim what there is room for, let the broker go, run, drain."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any
from unittest.mock import AsyncMock

import pytest
from pydantic import BaseModel
from structlog.testing import capture_logs

from back_service import consumer as module
from back_service.consumer import Consumer
from back_service.finishing import Finisher
from back_service.knocks import OPEN_PATIENCE, WAIT_PATIENCE
from back_service.leases import Leases
from back_service.runner import Runner
from shared.contract.errors import Unavailable
from shared.contract.ids import JobId
from shared.contract.job_types import Catalogue, JobType
from shared.contract.jobs import Job
from shared.contract.states import Move, State
from shared.runtime.logs import _Stamp
from shared.runtime.metrics import BackMetrics
from tests.support.builders import a_job_id
from tests.support.clock import ManualClock
from tests.support.waiting import until
from tests.unit.back.deliveries import HIGH, LOW, NORMAL, Broker, Inbox
from tests.unit.back.fakes import Ears, FakeContext, FakeWork, settle
from tests.unit.back.lines import FakeLines, a_lines

Handling = Callable[[Any, Any], Awaitable[object]]


class Request(BaseModel):
    pass


class Works:
    """A consumer over fakes. Its handler ends when it is let."""

    def __init__(self, *, slots: int = 4, turn: int = 20, drain: float = 1.0) -> None:
        self.work, self.broker, self.inbox = FakeWork(), Broker(), Inbox()
        self.ears, self.clock = Ears(), ManualClock()
        self.metrics = BackMetrics()
        self.may_end = asyncio.Event()
        self.begun: list[JobId] = []
        self.handler: Handling = self._usual
        job_type = JobType(name="demo.echo", request=Request)
        catalogue = Catalogue([job_type])
        self.rows = FakeLines()
        self.lines = a_lines(self.rows, self.clock, slots=slots, wake=self.inbox.news.set)
        self.leases = Leases(self.work.as_store, lease=timedelta(seconds=10), clock=self.clock)
        self.consumer = Consumer(
            work=self.work.as_store,
            runner=Runner(
                catalogue,
                {"demo.echo": self._handle},
                self._open,
                self.clock,
                max_result=1_000,
            ),
            leases=self.leases,
            finisher=Finisher(self.work.as_store, self.ears.as_teller, self.clock),
            subscriber=self.inbox.as_subscriber,
            teller=self.ears.as_teller,
            catalogue=catalogue,
            clock=self.clock,
            metrics=self.metrics,
            concurrency=slots,
            turn=turn,
            drain=timedelta(seconds=drain),
            lines=self.lines,
            dice=lambda: 0.5,
        )

    def _open(self, job: Job, _: JobType) -> Any:
        self.begun.append(job.id)
        return FakeContext().as_context

    async def _handle(self, context: Any, request: Any) -> object:
        return await self.handler(context, request)

    async def _usual(self, *_: object) -> str:
        await self.may_end.wait()
        return "done"

    def queue(self, count: int, **facts: Any) -> list[JobId]:
        return [self.work.queue(**facts) for _ in range(count)]

    def knock(
        self,
        *job_ids: JobId,
        route: str = NORMAL,
        keyed: bool = False,
        message_id: str | None = None,
    ) -> int:
        """Deliver a knock, and give its tag."""
        delivery = self.broker.deliver(
            *job_ids, route=route, keyed=keyed, at=self.clock.now, message_id=message_id
        )
        self.inbox.put(delivery)
        return delivery.tag

    def counted(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)

    async def until(self, is_so: Callable[[], object], what: str) -> None:
        async def look() -> object:
            return is_so()

        await until(look, within=5, every=0.002, what=what)

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Works"]:
        serving = asyncio.create_task(self.consumer.run())
        try:
            await settle()
            yield self
        finally:
            self.may_end.set()
            serving.cancel()
            await asyncio.wait([serving])


async def test_a_knock_is_answered_by_a_claim_and_then_acknowledged() -> None:
    """S25: custody passes from the broker to the lease, and is never nobody's."""
    works = Works()
    [job_id] = works.queue(1)
    async with works.open():
        works.work.troubles = [Unavailable("away")]
        tag = works.knock(job_id)
        await settle()
        assert works.broker.acked == []

        await works.until(lambda: works.broker.acked == [tag], "the knock is acknowledged")
        assert works.work.states[job_id] is State.RUNNING

        await works.until(lambda: works.begun == [job_id], "it runs")


async def test_a_lease_counts_from_the_question_that_was_answered() -> None:
    """After an outage a job that was just claimed has a whole lease before it."""
    works = Works()
    [job_id] = works.queue(1)

    class Away(Unavailable):
        def __init__(self) -> None:
            super().__init__("away for longer than a lease")
            works.clock.now += 60

    async with works.open():
        works.work.troubles = [Away()]
        works.knock(job_id)
        await works.until(lambda: works.begun == [job_id], "it runs")

        works.leases._give_up(works.clock.monotonic())

        assert works.leases._held[job_id].cause is None


async def test_a_lane_that_fails_says_whose_job_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug of ours is found by the TrackID of the job that it struck."""
    works = Works()
    works.may_end.set()
    [job_id] = works.queue(1, track_id="track-7")
    monkeypatch.setattr(works.consumer, "_attend", AsyncMock(side_effect=RuntimeError("a bug")))
    with capture_logs([_Stamp("back")]) as lines:
        async with works.open():
            works.knock(job_id)
            await works.until(lambda: works.consumer.free == 4 and lines, "the lane ended")

    [line] = [line for line in lines if line["event"] == "lane failed"]
    assert (line["job_id"], line["track_id"]) == (str(job_id), "track-7")


async def test_a_job_runs_to_its_record() -> None:
    """And its slot is free again."""
    works = Works()
    works.may_end.set()
    [job_id] = works.queue(1)
    async with works.open():
        works.knock(job_id)
        await works.until(lambda: works.consumer.free == 4 and works.begun, "the slot is free")

    assert works.work.states[job_id] is State.COMPLETED
    assert {news.job_id for news in works.ears.news} == {job_id}


async def test_no_more_is_claimed_than_there_is_room_for() -> None:
    """What nobody has a slot for is left to others; the last slot is kept for high."""
    works = Works(slots=4)
    ids = works.queue(10)
    async with works.open():
        tag = works.knock(*ids)
        await works.until(lambda: len(works.begun) == 3, "all free slots are taken")
        await settle()

        assert works.begun == ids[:3]
        assert works.broker.acked == []

        works.may_end.set()
        await works.until(lambda: works.broker.acked == [tag], "the whole knock is answered")

    assert works.begun == ids


async def test_the_last_slot_answers_an_urgent_knock_at_once() -> None:
    """However much of the usual is waiting."""
    works = Works(slots=4)
    usual, [urgent] = works.queue(10), works.queue(1)
    async with works.open():
        works.knock(*usual)
        await works.until(lambda: len(works.begun) == 3, "all free slots are taken")

        works.knock(urgent, route=HIGH)
        await works.until(lambda: urgent in works.begun, "the urgent job runs")

    assert works.begun[:4] == [*usual[:3], urgent]


async def test_a_worker_of_one_slot_takes_whatever_comes() -> None:
    """With nothing to keep back it must not starve the usual."""
    works = Works(slots=1)
    works.may_end.set()
    [job_id] = works.queue(1)
    async with works.open():
        works.knock(job_id, route=LOW)
        await works.until(lambda: works.begun == [job_id], "it runs")


async def test_a_double_costs_a_claim_and_nothing_else() -> None:
    """It is acknowledged: the row has said that it is not its turn."""
    works = Works()
    [job_id] = works.queue(1)
    async with works.open():
        tags = [works.knock(job_id), works.knock(job_id), works.knock(a_job_id())]
        await works.until(lambda: sorted(works.broker.acked) == tags, "all are acknowledged")
        await works.until(lambda: works.begun, "it runs")

    assert works.begun == [job_id]


async def test_keys_are_locked_only_when_a_knock_says_so() -> None:
    """Most jobs have none, and pay for none."""
    works = Works()
    async with works.open():
        works.knock(*works.queue(1))
        await works.until(lambda: len(works.work.claims) == 1, "the first is claimed")
        works.knock(*works.queue(1), keyed=True)
        await works.until(lambda: len(works.work.claims) == 2, "the second is claimed")

    assert works.work.locked[:2] == [False, True]


@pytest.mark.parametrize("body", [b"", b"nonsense", b'{"version": 1}', b"\xff" * 100])
async def test_a_knock_that_nobody_can_read_goes_to_the_dead_letters(body: bytes) -> None:
    """I13: with its bytes, for a person; and nobody else's is held up."""
    works = Works()
    [job_id] = works.queue(1)
    async with works.open():
        bad = works.broker.deliver_body(body, at=works.clock.now)
        works.inbox.put(bad)
        works.knock(job_id)
        await works.until(lambda: works.begun == [job_id], "the good one runs")

    assert works.broker.rejected == [bad.tag]
    assert works.counted("uketsuke_knocks_not_understood_total", why="unreadable") == 1


async def test_whoever_sent_what_cannot_be_read_can_be_found() -> None:
    """I13: the broker vouches for the user; of what it said nothing is logged."""
    works = Works()
    async with works.open():
        bad = replace(works.broker.deliver_body(b"canary", at=works.clock.now), user_id="mallory")
        with capture_logs() as lines:
            works.inbox.put(bad)
            await works.until(lambda: works.broker.rejected, "it is rejected")

    [line] = [line for line in lines if line["event"] == "knock rejected"]
    assert (line["user"], line["route"]) == ("mallory", NORMAL)
    assert "canary" not in str(line)


async def test_a_knock_of_a_newer_version_is_let_go_and_counted() -> None:
    """F22: workers are to be rolled before fronts. Its jobs are left to the rescuer."""
    works = Works()
    [job_id] = works.queue(1)
    async with works.open():
        newer = works.broker.deliver_body(b'{"version": 2, "lots": []}', at=works.clock.now)
        works.inbox.put(newer)
        works.knock(job_id)
        await works.until(lambda: works.begun == [job_id], "the one that is understood runs")

    assert newer.tag in works.broker.acked
    assert works.broker.rejected == []
    assert works.work.later == []
    assert works.counted("uketsuke_knocks_not_understood_total", why="newer") == 1


async def test_a_lane_goes_on_with_the_next_of_its_key() -> None:
    """Without another knock, and for a bounded turn."""
    works = Works(turn=3)
    works.may_end.set()
    ids = works.queue(5, ordering_key="k")
    jobs = [works.work.jobs[job_id] for job_id in ids]
    works.work.following = {a.id: b for a, b in pairwise(jobs)}
    for job_id in ids[1:]:
        works.work.states[job_id] = State.RUNNING  # claimed with the end of the one before
    async with works.open():
        works.knock(ids[0], keyed=True)
        await works.until(lambda: works.consumer.free == 4 and works.begun, "the lane has ended")

    assert works.begun == ids[:3]


async def test_a_job_that_was_lost_writes_nothing() -> None:
    """It is somebody else's: its lane ends, and its slot is free."""
    works = Works()
    [job_id] = works.queue(1)
    async with works.open():
        works.knock(job_id)
        await works.until(lambda: works.begun, "it runs")
        works.clock.pass_by(60)
        works.leases._give_up(works.clock.now)
        await works.until(lambda: works.consumer.free == 4, "the slot is free")

    assert works.work.batches == []


async def test_what_nobody_had_room_for_is_offered_to_others() -> None:
    """I1, S23: knocked for again in the store, and only then acknowledged."""
    works = Works(slots=2)
    ids = works.queue(5)
    async with works.open():
        tag = works.knock(*ids)
        await works.until(lambda: works.begun, "the free slot is taken")

        works.clock.pass_by(OPEN_PATIENCE + 0.1)
        await works.until(lambda: works.broker.acked == [tag], "the knock is let go")

    assert works.work.later == [ids[1:]]
    assert [row.job_ids for row in works.ears.rows] == [tuple(ids[1:])]


async def test_what_could_not_be_offered_stays_in_hand() -> None:
    """The database was away: nothing is acknowledged before it is knocked for again."""
    works = Works(slots=2)
    ids = works.queue(3)
    async with works.open():
        tag = works.knock(*ids)
        await works.until(lambda: works.begun, "the free slot is taken")
        works.work.troubles = [Unavailable("away")]
        works.clock.pass_by(OPEN_PATIENCE + 0.1)
        await works.until(lambda: not works.work.troubles, "it was tried")
        assert works.broker.acked == []

        works.clock.pass_by(OPEN_PATIENCE + 0.1)
        await works.until(lambda: works.broker.acked == [tag], "the knock is let go")

    assert works.work.later == [ids[1:]]


async def test_prefetched_knocks_that_wait_too_long_are_offered_too() -> None:
    """A full worker must not sit on what others could do."""
    works = Works(slots=2)
    busy, waiting = works.queue(4), works.queue(2)
    async with works.open():
        works.knock(*busy)
        await works.until(lambda: works.begun, "the worker is busy")
        tag = works.knock(*waiting)
        unreadable = works.broker.deliver_body(b"nonsense", at=works.clock.now)
        works.inbox.put(unreadable)

        works.clock.pass_by(WAIT_PATIENCE + 0.1)
        await works.until(lambda: tag in works.broker.acked, "the knock is let go")

    assert waiting in works.work.later
    assert works.broker.rejected == [unreadable.tag]


async def test_i15_a_drain_waits_for_what_runs() -> None:
    """It takes no more; what ends in time ends as if nothing had happened."""
    works = Works()
    running, waiting = works.queue(1), works.queue(1)
    serving = asyncio.create_task(works.consumer.run())
    works.knock(*running)
    await works.until(lambda: works.begun, "it runs")

    serving.cancel()
    await works.until(lambda: works.inbox.is_paused, "it takes no more")
    works.knock(*waiting)
    works.may_end.set()
    await asyncio.wait([serving], timeout=5)

    assert works.work.states[running[0]] is State.COMPLETED
    assert works.begun == running


async def test_i15_drain_gives_back() -> None:
    """What does not end in time is interrupted: its attempt does not count."""
    works = Works(drain=0.02)
    [job_id] = works.queue(1)
    serving = asyncio.create_task(works.consumer.run())
    works.knock(job_id)
    await works.until(lambda: works.begun, "it runs")

    serving.cancel()
    await asyncio.wait([serving], timeout=5)

    assert works.work.states[job_id] is State.QUEUED
    [[ruling]] = works.work.batches
    assert (ruling.verdict.move, ruling.verdict.given_back) == (Move.INTERRUPT, 1)


async def test_a_leaving_worker_takes_no_further_turn_of_its_lane() -> None:
    """The next of the key is another worker's."""
    works = Works()
    first, second = works.queue(2, ordering_key="k")
    works.work.following = {first: works.work.jobs[second]}
    serving = asyncio.create_task(works.consumer.run())
    works.knock(first, keyed=True)
    await works.until(lambda: works.begun, "it runs")

    serving.cancel()
    await works.until(lambda: works.inbox.is_paused, "it takes no more")
    works.may_end.set()
    await asyncio.wait([serving], timeout=5)

    assert works.begun == [first]
    assert not works.work.batches[0][0].has_turn


async def test_a_deaf_handler_does_not_keep_its_worker_from_leaving(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its lease lapses after the process, and its job goes to another."""
    monkeypatch.setattr(module, "_LAST_WORDS", timedelta(seconds=0.05))
    works = Works(drain=0.02)
    [job_id] = works.queue(1)

    async def deaf(*_: object) -> str:
        while not works.may_end.is_set():
            try:
                await works.may_end.wait()
            except asyncio.CancelledError:
                continue
        return "at last"

    works.handler = deaf
    serving = asyncio.create_task(works.consumer.run())
    works.knock(job_id)
    await works.until(lambda: works.begun, "it runs")

    serving.cancel()
    done, _ = await asyncio.wait([serving], timeout=5)

    assert done
    works.may_end.set()
    await works.until(lambda: works.work.batches, "the left-over ends as well")


async def test_a_claim_under_way_is_not_torn_by_a_drain() -> None:
    """Its jobs would be claimed and nobody would know."""
    works = Works()
    [job_id] = works.queue(1)
    gate = asyncio.Event()
    claim = works.work.claim

    async def slow(job_ids: list[JobId], **options: Any) -> Any:
        await gate.wait()
        return await claim(job_ids, **options)

    works.work.claim = slow  # type: ignore[method-assign, assignment]  # the same, but slower
    serving = asyncio.create_task(works.consumer.run())
    works.knock(job_id)
    await settle()

    serving.cancel()
    await settle()
    works.may_end.set()
    gate.set()
    await asyncio.wait([serving], timeout=5)

    assert works.work.states[job_id] is State.COMPLETED
