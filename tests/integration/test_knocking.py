"""From a committed row to a knock that the broker has: no row goes before its confirm."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from shared.broker.publisher import Publisher
from shared.contract.headers import TRACK_ID
from shared.contract.messages import decode_knock
from shared.outbox import Post, Relay
from tests.broker.scene import Yard, running, started
from tests.integration.bench import Bench
from tests.support.fault_proxy import open_proxy
from tests.support.house import free_port
from tests.support.needs import need_setting
from tests.support.waiting import until

pytestmark = pytest.mark.servers

WAIT = timedelta(seconds=5)


@pytest.fixture
async def yard() -> AsyncIterator[Yard]:
    """A pool of the test's own on the real broker."""
    yard = Yard(need_setting("UKETSUKE_TEST_AMQP_URL"))
    yield yard
    await yard.close()


@pytest.fixture
async def publisher(yard: Yard) -> AsyncIterator[Publisher]:
    async with running(Publisher(yard.url, name="test", pools=[yard.pool])) as publisher:
        yield publisher


async def make_late(bench: Bench) -> None:
    await bench.sql("UPDATE outbox SET due = clock_timestamp() - interval '2 seconds'")


async def depth(bench: Bench) -> int:
    await bench.outbox.drain()
    return await bench.outbox.depth(1_000)


async def test_a_confirmed_row_is_dropped(bench: Bench, yard: Yard, publisher: Publisher) -> None:
    """The knock is on the broker's disk then, and names the job by its id alone."""
    post = Post(bench.outbox, publisher, confirm_wait=WAIT)
    admitted = await bench.admit(pool=yard.pool, track_id="abc", request=b'"secret"')
    assert admitted.row is not None

    assert await post.confirmed(admitted.row)
    await post.drain()

    assert await depth(bench) == 0
    message = await yard.take()
    knock = decode_knock(message.body)
    assert knock.job_ids == (admitted.accepted.job_id,)
    assert (message.header.properties.headers or {})[TRACK_ID] == "abc"
    assert b"secret" not in message.body


async def test_callers_of_one_row_share_its_publish(
    bench: Bench, yard: Yard, publisher: Publisher
) -> None:
    """Those of one group commit wait for the same confirm."""
    post = Post(bench.outbox, publisher, confirm_wait=WAIT)
    admitted = await asyncio.gather(*(bench.admit(pool=yard.pool) for _ in range(20)))
    rows = [one.row for one in admitted if one.row is not None]

    assert all(await asyncio.gather(*(post.confirmed(row) for row in rows)))
    await post.drain()

    bodies = await yard.bodies()
    assert len(bodies) == len({row.id for row in rows}) < 20
    named = [job_id for body in bodies for job_id in decode_knock(body).job_ids]
    assert sorted(named) == sorted(one.accepted.job_id for one in admitted)


async def test_nobody_waits_for_a_broker_that_is_known_to_be_down(bench: Bench) -> None:
    """The 202 is given at once; the row stays for the relay."""
    with free_port() as port:
        absent = Publisher(f"amqp://guest@127.0.0.1:{port}/", name="test", pools=["default"])
        post = Post(bench.outbox, absent, confirm_wait=WAIT)
        admitted = await bench.admit()
        assert admitted.row is not None

        async with started(absent), asyncio.timeout(1):
            assert not await post.confirmed(admitted.row)

    assert await depth(bench) == 1


async def test_a_slow_knock_is_one_miss_though_two_lost_patience(bench: Bench, yard: Yard) -> None:
    """Its caller, and later its publish: three slow knocks mean a broker that is down, not two."""
    async with (
        open_proxy(yard.url) as proxy,
        running(
            Publisher(proxy.url, name="test", pools=[yard.pool], knock_patience=0.3)
        ) as publisher,
    ):
        post = Post(bench.outbox, publisher, confirm_wait=timedelta(seconds=0.05))
        proxy.freeze()
        downs = []
        for _ in range(3):
            row = (await bench.admit(pool=yard.pool)).row
            assert row is not None
            assert not await post.confirmed(row)
            await post.drain()
            downs.append(publisher.is_down)

    assert downs == [False, False, True]


async def test_where_nobody_waits_for_the_broker_it_is_not_called_down(
    bench: Bench, yard: Yard, publisher: Publisher
) -> None:
    """With a confirm wait of nothing every knock would be late, and submits would not knock."""
    post = Post(bench.outbox, publisher, confirm_wait=timedelta(0))
    rows = [(await bench.admit(pool=yard.pool)).row for _ in range(5)]

    for row in rows:
        assert row is not None
        assert not await post.confirmed(row)

    assert not publisher.is_down
    await post.drain()
    assert await depth(bench) == 0
    assert len(await yard.bodies()) == 5


async def test_i1_unroutable_keeps_row(bench: Bench, yard: Yard, publisher: Publisher) -> None:
    """S8: the broker confirms what it throws away, unless it is told to return it."""
    post = Post(bench.outbox, publisher, confirm_wait=WAIT)
    admitted = await bench.admit(pool=f"{yard.pool}-without-a-queue")
    assert admitted.row is not None

    assert not await post.confirmed(admitted.row)

    assert await depth(bench) == 1


async def test_the_relay_delivers_what_an_outage_has_left(bench: Bench, yard: Yard) -> None:
    """I1: accepted while the broker was away, and knocked for as soon as it is there."""
    with free_port() as port:
        absent = Publisher(f"amqp://guest@127.0.0.1:{port}/", name="test", pools=[yard.pool])
        post = Post(bench.outbox, absent, confirm_wait=WAIT)
        admitted = await asyncio.gather(*(bench.admit(pool=yard.pool) for _ in range(3)))
        post.send([one.row for one in admitted if one.row is not None])
        await post.drain()
    assert await depth(bench) > 0
    await make_late(bench)

    async with running(Publisher(yard.url, name="test", pools=[yard.pool])) as present:
        relay = asyncio.create_task(Relay(bench.outbox, present).run())

        async def is_empty() -> bool:
            return await bench.outbox.depth(1) == 0

        await until(is_empty, within=10, what="the relay delivers")
        relay.cancel()
        await asyncio.wait([relay])

    named = [job_id for body in await yard.bodies() for job_id in decode_knock(body).job_ids]
    assert sorted(named) == sorted(one.accepted.job_id for one in admitted)


async def test_the_relay_names_in_one_knock_what_has_waited_together(
    bench: Bench, yard: Yard, publisher: Publisher
) -> None:
    """After an outage a worker gets as many jobs as it has slots for, from few knocks."""
    ids = [await bench.submit(pool=yard.pool) for _ in range(40)]
    await make_late(bench)

    assert await Relay(bench.outbox, publisher)._turn() == 40

    assert await depth(bench) == 0
    knocks = [decode_knock(body) for body in await yard.bodies()]
    assert [len(knock.job_ids) for knock in knocks] == [32, 8]
    assert [job_id for knock in knocks for job_id in knock.job_ids] == ids


async def test_what_the_relay_could_not_deliver_is_put_back(
    bench: Bench, yard: Yard, publisher: Publisher
) -> None:
    """Whoever can deliver it need not wait until its hiding ends; its neighbours are gone."""
    await bench.submit(pool=yard.pool)
    await bench.submit(pool=f"{yard.pool}-without-a-queue")
    await make_late(bench)

    await Relay(bench.outbox, publisher)._turn()

    assert await depth(bench) == 1
    [row] = await bench.outbox.take(hide=WAIT)
    assert row.route.startswith(f"jobs.{yard.pool}-without")


async def test_a_row_that_another_relay_has_taken_is_not_published_twice(
    bench: Bench, yard: Yard, publisher: Publisher
) -> None:
    """A double knock is harmless; but ten replicas must not make it tenfold."""
    await bench.submit(pool=yard.pool)
    await make_late(bench)
    relays = [Relay(bench.outbox, publisher) for _ in range(4)]

    await asyncio.gather(*(relay._turn() for relay in relays))

    assert len(await yard.bodies()) == 1


async def test_a_relay_outlives_a_database_that_is_away(bench: Bench, publisher: Publisher) -> None:
    """It has nothing to carry then; a failure would stop the whole service."""
    await bench.submit()
    await make_late(bench)
    async with bench.pool.transaction() as holder:
        await holder.execute("LOCK TABLE outbox")

        assert await Relay(bench.outbox, publisher)._turn() == 0
