"""Custody of the jobs that run here: kept, told, and given up in time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from back_service.leases import Cause, Held, Leases
from shared.contract.errors import Unavailable
from shared.contract.jobs import Job
from shared.contract.states import State
from shared.store.pool import Rejected
from tests.support.clock import ManualClock
from tests.support.waiting import until
from tests.unit.back.fakes import FakeWork, settle


class Post:
    """A worker's leases of ten seconds, on a clock that stands still."""

    def __init__(self) -> None:
        self.clock, self.work = ManualClock(), FakeWork()
        self.leases = Leases(self.work.as_store, lease=timedelta(seconds=10), clock=self.clock)

    @asynccontextmanager
    async def attempt(
        self, job: Job | None = None, *, takes: float = 1e9, swallows: int = 0
    ) -> AsyncIterator["Attempt"]:
        """Run an attempt that goes on until it is told to stop, more than *swallows* times."""
        attempt = Attempt(self, job or self.work.add(), takes=takes, swallows=swallows)
        await settle()
        yield attempt
        while not attempt.task.done():
            attempt.task.cancel()
            await settle()

    async def look(self) -> None:
        """Do what is done a few times a second."""
        self.leases._give_up(self.clock.now)
        await settle()


class Attempt:
    def __init__(self, post: Post, job: Job, *, takes: float, swallows: int) -> None:
        self.cancels = 0
        self._post, self._job = post, job
        self._takes, self._swallows = takes, swallows
        self._held: Held | None = None
        self.task = asyncio.create_task(self._run())

    @property
    def held(self) -> Held:
        assert self._held is not None
        return self._held

    async def _run(self) -> None:
        now = self._post.clock.now
        with self._post.leases.hold(self._job, asked_at=now) as self._held:
            self._held.begin(until=now + self._takes)
            while self.cancels <= self._swallows:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    self.cancels += 1
            self._held.end()


@pytest.fixture
def post() -> Post:
    return Post()


async def test_all_leases_are_renewed_in_one_question(post: Post) -> None:
    """With the token of each: nobody else's is prolonged."""
    one, other = post.work.add(token=5), post.work.add(token=9)
    async with post.attempt(one), post.attempt(other):
        await post.leases._renew(post.clock.now)

    assert post.work.renewals == [{one.id: 5, other.id: 9}]


async def test_a_worker_that_holds_nothing_asks_nothing(post: Post) -> None:
    """An idle worker is silent."""
    await post.leases._renew(post.clock.now)
    await post.leases._hear(post.clock.now)

    assert post.work.renewals == []


async def test_i14_a_lease_counts_from_before_the_question(post: Post) -> None:
    """A slow answer only shortens it: the database began to count no earlier."""
    async with post.attempt() as attempt:
        asked_at = post.clock.pass_by(3)
        post.clock.pass_by(2)
        await post.leases._renew(asked_at)

        assert attempt.held.ends_at == asked_at + 8


async def test_i14_self_stop(post: Post) -> None:
    """Without an answer the handler is stopped before anybody else may start the job."""
    async with post.attempt() as attempt:
        post.clock.pass_by(7.9)
        await post.look()
        assert attempt.cancels == 0

        post.clock.pass_by(0.2)
        await post.look()

        assert attempt.held.cause is Cause.LOST
        assert attempt.cancels == 1


async def test_a_renewed_lease_goes_on(post: Post) -> None:
    """For hours, if need be."""
    async with post.attempt() as attempt:
        for _ in range(20):
            post.clock.pass_by(5)
            await post.leases._renew(post.clock.now)
            await post.look()

        assert attempt.held.cause is None


async def test_a_job_that_is_not_answered_is_lost(post: Post) -> None:
    """It was rescued: its token is old."""
    job = post.work.add(token=5)
    async with post.attempt(job) as attempt:
        post.work.tokens[job.id] = 6

        await post.leases._renew(post.clock.now)
        await settle()

        assert attempt.held.cause is Cause.LOST
        assert attempt.cancels == 1


async def test_a_cancel_is_told_by_a_renewal(post: Post) -> None:
    """Whichever question comes first."""
    job = post.work.add()
    async with post.attempt(job) as attempt:
        post.work.states[job.id] = State.CANCELLING

        await post.leases._renew(post.clock.now)
        await settle()

        assert attempt.held.cause is Cause.CANCEL


async def test_a_cancel_is_heard_between_two_renewals(post: Post) -> None:
    """Within a second of the asking; what has just begun is not asked about yet."""
    job = post.work.add()
    async with post.attempt(job) as attempt:
        post.work.states[job.id] = State.CANCELLING
        await post.leases._hear(post.clock.now)
        assert attempt.held.cause is None

        post.clock.pass_by(0.5)
        await post.leases._hear(post.clock.now)
        await settle()

        assert attempt.held.cause is Cause.CANCEL
        assert attempt.cancels == 1


async def test_an_attempt_that_takes_too_long_is_told(post: Post) -> None:
    """By the same look that guards the leases."""
    async with post.attempt(takes=5) as attempt:
        post.clock.pass_by(4.9)
        await post.look()
        assert attempt.held.cause is None

        post.clock.pass_by(0.2)
        await post.look()

        assert attempt.held.cause is Cause.TIMEOUT


async def test_leaving_tells_every_handler(post: Post) -> None:
    """A drain: each gives its attempt back."""
    async with (
        post.attempt() as one,
        post.attempt() as other,
    ):
        post.leases.interrupt()
        await settle()

        assert (one.held.cause, other.held.cause) == (Cause.DRAIN, Cause.DRAIN)


async def test_a_handler_that_swallows_its_cancel_is_told_again(post: Post) -> None:
    """Not at once: a handler that cleans up must get somewhere."""
    async with post.attempt(swallows=2) as attempt:
        attempt.held.stop(Cause.CANCEL, post.clock.now)
        await settle()
        assert attempt.cancels == 1

        post.clock.pass_by(0.5)
        await post.look()
        assert attempt.cancels == 1

        post.clock.pass_by(3)
        await post.look()
        assert attempt.cancels == 2


async def test_a_deaf_handler_is_not_renewed_for_ever(post: Post) -> None:
    """Its job goes to another worker: a slot may be lost here, but no job hangs."""
    async with post.attempt(swallows=99) as attempt:
        attempt.held.stop(Cause.CANCEL, post.clock.now)
        post.clock.pass_by(9)
        await post.leases._renew(post.clock.now)
        assert len(post.work.renewals) == 1

        post.clock.pass_by(2)
        await post.leases._renew(post.clock.now)

        assert len(post.work.renewals) == 1


async def test_what_has_ended_is_told_nothing(post: Post) -> None:
    """The answer to a renewal may come after the end of the job."""
    job = post.work.add()
    async with post.attempt(job) as attempt:
        pass

    post.leases._judge(attempt.held, None, post.clock.now)

    assert attempt.held.cause is None
    assert len(post.leases) == 0


async def test_a_job_that_came_back_has_a_lease_of_its_own(post: Post) -> None:
    """The end of the old attempt does not end the new one's."""
    job = post.work.add()
    async with post.attempt(job) as old, post.attempt(job):
        old.task.cancel()
        await asyncio.wait([old.task])

        assert len(post.leases) == 1


async def test_a_record_is_not_torn_by_a_late_word(post: Post) -> None:
    """After the handler has ended its outcome is written, whoever is told to stop now."""
    job = post.work.add()
    with post.leases.hold(job, asked_at=post.clock.now) as held:
        held.begin(until=post.clock.now + 1)
        held.end()
        held.stop(Cause.CANCEL, post.clock.now)
        post.clock.pass_by(60)
        post.leases._give_up(post.clock.now)

        await asyncio.sleep(0)  # a cancel would come here


@pytest.mark.parametrize("trouble", [Unavailable("away"), Rejected("no such column")])
async def test_the_service_outlives_an_outage_and_renews_after_it(
    post: Post, trouble: Exception
) -> None:
    """What it holds may still be its own when the database is back."""
    post.work.troubles = [trouble] * 2

    async def are_renewed() -> bool:
        post.clock.pass_by(0.2)
        return bool(post.work.renewals)

    async with post.attempt():
        serving = asyncio.create_task(post.leases.run())
        await until(are_renewed, within=10, what="the leases are renewed")
        serving.cancel()
        await asyncio.wait([serving])

    assert post.work.troubles == []
