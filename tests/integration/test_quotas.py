"""Quotas in the database: exact over all who ask at once, and cheap."""

import asyncio
from uuid import uuid4

import pytest

from shared.contract.access import tenant_id
from shared.contract.states import Move
from shared.store.ledgers import TenantLedger
from shared.store.quotas import Limits, QuotaRows, Wish
from tests.integration.bench import Bench
from tests.integration.conftest import _execute

pytestmark = pytest.mark.servers

NOTHING = (
    "DELETE FROM rate_marks; DELETE FROM open_streams; UPDATE tenants SET rate = NULL, burst = NULL"
)


@pytest.fixture
async def rows(bench: Bench, database: str) -> QuotaRows:
    await _execute(database, NOTHING)
    return QuotaRows(bench.pool, uuid4())


async def test_a_hundred_at_once_get_the_burst_and_what_the_time_brings(rows: QuotaRows) -> None:
    """Nobody's question is answered before it is counted, whoever asks."""
    wish = Wish(tenant=tenant_id("acme"), want=1, burst=20, rate=50.0)
    loop = asyncio.get_running_loop()
    began = loop.time()

    grants = await asyncio.gather(*(rows.take([wish]) for _ in range(100)))

    took = loop.time() - began
    granted = sum(grant[wish.tenant].granted for grant in grants)
    assert 20 <= granted <= 20 + 50 * took + 1


async def test_a_lot_is_granted_as_far_as_it_goes(rows: QuotaRows) -> None:
    """And each tenant's own."""
    tenants = [tenant_id(name) for name in ("acme", "beta", "gamma")]
    wishes = [Wish(tenant=one, want=15, burst=20, rate=0.01) for one in tenants]

    first = await rows.take(wishes)
    second = await rows.take(wishes[:2])
    third = await rows.take(wishes)

    assert [first[one].granted for one in tenants] == [15, 15, 15]
    assert [second[one].granted for one in tenants[:2]] == [5, 5]
    assert [third[one].granted for one in tenants] == [0, 0, 5]
    assert third[tenants[0]].ahead == pytest.approx(2_000, abs=5)


async def test_limits_are_read_of_those_who_have_any(bench: Bench, rows: QuotaRows) -> None:
    """The others are nobody that the front has to think of."""
    ledger = TenantLedger(bench.pool)
    limits = Limits(rate=5.0, burst=10, queued=100, streams=3)
    await ledger.set_limits("acme", limits)
    await ledger.set_limits("beta", Limits())

    found = await rows.limits([tenant_id("acme"), tenant_id("beta"), tenant_id("nobody")])

    assert found == {tenant_id("acme"): limits}
    assert {entry.name for entry in await ledger.entries()} >= {"default", "acme", "beta"}


async def test_what_waits_is_counted_up_to_a_number(bench: Bench, rows: QuotaRows) -> None:
    """Scheduled, queued, or about to be tried again; what runs or has ended is not."""
    tenant = tenant_id("acme")
    for _ in range(5):
        await bench.submit(tenant=tenant)
    job = await bench.running()
    await bench.finish(job, Move.FAIL)

    assert await rows.waiting({tenant: 100}) == {tenant: 5}
    assert await rows.waiting({tenant: 2}) == {tenant: 3}


async def test_streams_of_other_replicas_are_summed(bench: Bench, rows: QuotaRows) -> None:
    """One's own are known better; those of one that is gone are forgotten."""
    tenant = tenant_id("acme")
    for streams in (2, 5):
        await QuotaRows(bench.pool, uuid4()).streams({tenant: streams})

    assert await rows.streams({tenant: 9}) == {tenant: 7}
    assert await rows.streams({tenant: 9}) == {tenant: 7}
    await rows.forget_streams()
    assert await rows.streams({tenant: 9}) == {tenant: 7}
