"""What upkeep shows of the whole house: told apart by what jobs wait for, and never stale."""

from dataclasses import replace
from typing import Final

import pytest

from back_service.upkeep.census import CensusTaker
from shared.contract.errors import Unavailable
from shared.runtime.metrics import BackMetrics
from shared.store.census import Census, Group
from shared.store.operating import Worker
from tests.support.clock import ManualClock

ABLE: Final = Worker(frozenset({"p"}), frozenset({"t", "u"}), frozenset({"u"}))
CENSUS: Final = Census(
    groups=[
        Group(pool="p", type="t", waits="ready", jobs=3, late=1.5),
        Group(pool="p", type="u", waits="ready", jobs=4, late=2.5),
        Group(pool="q", type="t", waits="ready", jobs=5, late=3.5),
        Group(pool="p", type="t", waits="behind", jobs=6, late=4.5),
        Group(pool="p", type="u", waits="behind", jobs=1, late=9.5),
    ],
    workers=[ABLE, ABLE],
    longest_line=7,
    keys_held=1,
    outbox_rows=2,
    outbox_late=0.5,
)


class Counts:
    def __init__(self, census: Census) -> None:
        self.answer: Census | Unavailable = census

    async def census(self) -> Census:
        if isinstance(self.answer, Unavailable):
            raise self.answer
        return self.answer


@pytest.fixture
def counts() -> Counts:
    return Counts(CENSUS)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def metrics() -> BackMetrics:
    return BackMetrics()


@pytest.fixture
def taker(counts: Counts, metrics: BackMetrics, clock: ManualClock) -> CensusTaker:
    return CensusTaker(counts, metrics, clock)


async def test_jobs_are_told_apart_by_what_they_wait_for(
    taker: CensusTaker, metrics: BackMetrics
) -> None:
    """Of what is ready: whether a worker lives that can run it, in its pool and with its extra."""
    await taker.count()
    shown = metrics.registry.get_sample_value

    assert shown("uketsuke_jobs", {"pool": "p", "state": "ready"}) == 3
    assert shown("uketsuke_jobs", {"pool": "p", "state": "no_worker"}) == 4
    assert shown("uketsuke_jobs", {"pool": "q", "state": "no_worker"}) == 5
    assert shown("uketsuke_jobs", {"pool": "p", "state": "behind"}) == 7
    assert shown("uketsuke_late_seconds", {"pool": "p", "state": "behind"}) == 9.5
    assert shown("uketsuke_workers", {"pool": "p"}) == 2
    assert shown("uketsuke_lane_depth") == 7
    assert shown("uketsuke_keys_held") == 1
    assert shown("uketsuke_outbox_rows") == 2
    assert shown("uketsuke_outbox_oldest_seconds") == 0.5


async def test_nothing_is_shown_before_anything_was_counted(
    taker: CensusTaker, metrics: BackMetrics
) -> None:
    """An alert on its absence rings; a nought would say that all is well."""
    assert metrics.registry.get_sample_value("uketsuke_outbox_rows") is None
    await taker.count()
    assert metrics.registry.get_sample_value("uketsuke_outbox_rows") == 2


async def test_old_figures_are_no_answer(
    taker: CensusTaker, metrics: BackMetrics, counts: Counts, clock: ManualClock
) -> None:
    """A database that does not answer for two minutes leaves no trace of calmer days."""
    await taker.count()
    counts.answer = Unavailable("away")
    clock.pass_by(119)
    await taker.count()
    assert metrics.registry.get_sample_value("uketsuke_outbox_rows") == 2

    clock.pass_by(2)
    assert metrics.registry.get_sample_value("uketsuke_outbox_rows") is None

    counts.answer = replace(CENSUS, outbox_rows=9)
    await taker.count()
    assert metrics.registry.get_sample_value("uketsuke_outbox_rows") == 9
