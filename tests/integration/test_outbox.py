"""Knocks that are stored and still to be published."""

import asyncio
from datetime import timedelta
from typing import Final

import pytest

from shared.store.rows import OutboxRow
from tests.integration.bench import Bench

pytestmark = pytest.mark.servers

HIDE: Final = timedelta(seconds=10)


async def make_late(bench: Bench) -> None:
    await bench.sql("UPDATE outbox SET due = clock_timestamp() - interval '2 seconds'")


async def test_a_fresh_row_is_left_to_whoever_wrote_it(bench: Bench) -> None:
    """The relay seldom races the publisher; a double would be harmless, and waste."""
    await bench.submit()

    assert await bench.outbox.take(hide=HIDE) == []


async def test_a_late_row_is_taken_by_one_relay(bench: Bench) -> None:
    """Any number of relays share the rows, and none waits for another."""
    for _ in range(20):
        await bench.submit()
    await make_late(bench)

    lots = await asyncio.gather(*(bench.outbox.take(hide=HIDE, most=5) for _ in range(6)))

    taken = [row.id for lot in lots for row in lot]
    assert len(taken) == len(set(taken)) == 20


async def test_what_is_put_back_can_be_taken_at_once(bench: Bench) -> None:
    """A publish that failed need not wait until its hiding ends."""
    await bench.submit()
    await make_late(bench)
    [row] = await bench.outbox.take(hide=HIDE)
    assert await bench.outbox.take(hide=HIDE) == []

    await bench.outbox.put_back([row.id])

    assert await bench.outbox.take(hide=HIDE) == [row]


async def test_a_taken_knock_counts_as_made_now(bench: Bench) -> None:
    """Else every knock that an outage has made late would look lost, and be made again."""
    await bench.submit()
    await bench.sql("UPDATE jobs SET knocked_at = clock_timestamp() - interval '1 hour'")
    await make_late(bench)

    await bench.outbox.take(hide=HIDE)

    [row] = await bench.sql("SELECT clock_timestamp() - knocked_at AS age FROM jobs")
    assert row["age"] < timedelta(seconds=5)
    unheard = await bench.upkeep.unheard("default", "normal", is_empty=True, older=HIDE / 2)
    assert unheard == []


async def test_a_confirmed_row_is_dropped(bench: Bench) -> None:
    """And only that one."""
    first, second = await bench.admit(), await bench.admit()
    assert first.row is not None
    assert second.row is not None

    bench.outbox.sent(first.row.id)
    await bench.outbox.drain()

    assert [row["id"] for row in await bench.sql("SELECT id FROM outbox")] == [second.row.id]


async def test_the_depth_is_counted_up_to_a_bound(bench: Bench) -> None:
    """It is asked to refuse submits in time: a count of millions would come too late."""
    for _ in range(5):
        await bench.submit()

    assert await bench.outbox.depth(3) == 3
    assert await bench.outbox.depth(100) == 5


async def test_a_route_is_late_when_its_rows_are(bench: Bench) -> None:
    """Then nobody knocks for it again: the knocks are still to come."""
    await bench.submit()
    assert not await bench.outbox.is_late("jobs.default.normal")

    await make_late(bench)

    assert await bench.outbox.is_late("jobs.default.normal")
    assert not await bench.outbox.is_late("jobs.default.high")


async def test_a_row_tells_what_its_knock_must_say(bench: Bench) -> None:
    """The relay publishes it without another look at the jobs."""
    admitted = await bench.admit(ordering_key="k", track_id="abc")
    await make_late(bench)

    [row] = await bench.outbox.take(hide=HIDE)

    assert row == OutboxRow(
        id=row.id,
        route="jobs.default.normal",
        job_ids=(admitted.accepted.job_id,),
        keyed=True,
        track_ids="abc",
    )
