"""What is done again and again, and when it must not be done."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, cast

import pytest

from back_service.upkeep.rescuer import LostKnocks, LostLeases
from back_service.upkeep.round import Round, announce
from shared.contract.errors import Unavailable
from shared.contract.events import News
from shared.contract.ids import TrackId
from shared.contract.states import State
from shared.runtime.metrics import BackMetrics
from shared.store.pool import Rejected
from shared.store.rows import OutboxRow
from shared.store.upkeep import Moved, Tended
from tests.support.builders import a_job_id
from tests.support.clock import ManualClock
from tests.support.waiting import until
from tests.unit.back.fakes import Ears

ROUTE = "jobs.default.normal"


class Store:
    """The upkeep of a store: answers what it is told to, and notes what it was asked."""

    def __init__(self) -> None:
        self.rescues = 0
        self.unheard_asked: list[tuple[str, str, bool]] = []
        self.error: Exception | None = None
        self.row = OutboxRow(
            id=1, route=ROUTE, job_ids=(a_job_id(), a_job_id()), keyed=False, track_ids="a,b"
        )

    async def rescue(self) -> Tended:
        self.rescues += 1
        if self.error is not None:
            raise self.error
        return Tended()

    async def unheard(
        self, pool: str, priority: str, *, is_empty: bool, older: timedelta
    ) -> list[OutboxRow]:
        assert older > timedelta(0)
        self.unheard_asked.append((pool, priority, is_empty))
        return [self.row]


class Queues:
    """What is known of the broker's queues."""

    def __init__(self) -> None:
        self.waiting: dict[str, deque[Any]] = {ROUTE: deque()}
        self.ready: int | None = 0
        self.is_route_late = False

    def depth(self, _: str) -> int | None:
        return self.ready

    async def is_late(self, _: str) -> bool:
        return self.is_route_late


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store() -> Store:
    return Store()


def leases_of(store: Store, clock: ManualClock) -> LostLeases:
    lease = timedelta(seconds=10)
    return LostLeases(
        cast("Any", store), Ears().as_teller, lease=lease, clock=clock, metrics=BackMetrics()
    )


def knocks_of(
    store: Store, queues: Queues, ears: Ears, metrics: BackMetrics | None = None
) -> LostKnocks:
    of_both = cast("Any", queues)
    return LostKnocks(
        cast("Any", store), ears.as_teller, of_both, of_both, metrics or BackMetrics()
    )


async def test_leases_are_not_judged_until_one_has_passed(store: Store, clock: ManualClock) -> None:
    """S28: after a start whoever is alive renews first; nobody's work is done twice for nothing."""
    leases = leases_of(store, clock)

    clock.pass_by(9.9)
    await leases.work()
    assert store.rescues == 0

    clock.pass_by(0.2)
    await leases.work()
    assert store.rescues == 1


async def test_leases_are_not_judged_right_after_an_outage(
    store: Store, clock: ManualClock
) -> None:
    """S28: nobody could renew while the database was away."""
    leases = leases_of(store, clock)
    clock.pass_by(11)
    store.error = Unavailable("away")
    with pytest.raises(Unavailable):
        await leases.work()
    store.error = None

    clock.pass_by(9.9)
    await leases.work()
    assert store.rescues == 1

    clock.pass_by(0.2)
    await leases.work()
    assert store.rescues == 2


async def test_unheard_jobs_are_knocked_for_again(store: Store) -> None:
    """And it is said how many those were."""
    ears, metrics = Ears(), BackMetrics()

    assert await knocks_of(store, Queues(), ears, metrics).work() == 2

    assert metrics.registry.get_sample_value("uketsuke_jobs_unheard_total") == 2
    assert ears.rows == [store.row]
    assert store.unheard_asked == [("default", "normal", True)]


async def test_a_queue_with_messages_is_not_empty(store: Store) -> None:
    """Then only what was overtaken is lost."""
    queues = Queues()
    queues.ready = 7

    await knocks_of(store, queues, Ears()).work()

    assert store.unheard_asked == [("default", "normal", False)]


def knows_nothing(queues: Queues) -> None:
    queues.ready = None


def holds_knocks(queues: Queues) -> None:
    queues.waiting[ROUTE].append("a knock")


def has_late_rows(queues: Queues) -> None:
    queues.is_route_late = True


@pytest.mark.parametrize("reason", [knows_nothing, holds_knocks, has_late_rows])
async def test_nobody_is_knocked_for_again_without_need(
    store: Store, reason: Callable[[Queues], None]
) -> None:
    """The broker is away, knocks lie here, or the relay still has them: none is lost."""
    queues = Queues()
    reason(queues)

    assert await knocks_of(store, queues, Ears()).work() == 0
    assert store.unheard_asked == []


async def test_a_round_goes_on_at_once_while_there_is_more_to_do() -> None:
    """A thousand due jobs do not wait for a tick for each lot."""
    done: list[int] = []

    async def work() -> int:
        done.append(1)
        return 5 if len(done) < 4 else 0

    await _run(Round(name="r", work=work, every=0.05, full=5), lambda: len(done) >= 4)


@pytest.mark.parametrize("trouble", [Unavailable("away"), Rejected("no")])
async def test_a_round_outlives_trouble(trouble: Exception) -> None:
    """It is put off, and done as soon as it can be; no service falls over it."""
    tries: list[int] = []

    async def work() -> int:
        tries.append(1)
        if len(tries) < 3:
            raise trouble
        return 0

    await _run(Round(name="r", work=work, every=0.001, full=5), lambda: len(tries) >= 4)


async def test_a_bug_of_ours_stops_the_house() -> None:
    """It must not go on in silence, doing nothing for ever."""

    async def work() -> int:
        raise ZeroDivisionError

    async with asyncio.timeout(1):
        with pytest.raises(ZeroDivisionError):
            await Round(name="r", work=work, every=0.001, full=5).run()


def test_what_was_moved_is_told_to_everybody() -> None:
    """Knocks to the broker, news to the fronts, and the number to the round."""
    ears, job_id = Ears(), a_job_id()
    row = OutboxRow(id=1, route=ROUTE, job_ids=(job_id,), keyed=False, track_ids="t")
    tended = Tended(
        moved=[Moved(id=job_id, state=State.QUEUED, track_id=TrackId("t"))],
        rows=[row],
        news=[News(job_id, 2)],
    )

    async def tell() -> int:
        return announce(ears.as_teller, tended, "job rescued", counted.append)

    counted: list[Mapping[State, int]] = []
    assert asyncio.run(tell()) == 1
    assert counted == [{State.QUEUED: 1}]
    assert ears.rows == [row]
    assert ears.news == [News(job_id, 2)]


async def _run(round_: Round, is_enough: Callable[[], bool]) -> None:
    async def look() -> bool:
        return is_enough()

    serving = asyncio.create_task(round_.run())
    await until(look, within=3, every=0.005, what="the round has worked")
    serving.cancel()
    await asyncio.wait([serving])
