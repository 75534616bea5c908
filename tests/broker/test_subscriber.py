"""Taking knocks: none lost, none acked unasked, and a consumer that always comes back."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiormq import spec
from structlog.testing import capture_logs

from shared.broker.delivery import Delivery, ack_all
from shared.broker.publisher import Publisher
from shared.broker.subscriber import Subscriber
from shared.broker.topology import LARGEST_KNOCK, pool_queues
from tests.broker.scene import Yard, make_the_broker_close, running, started, until
from tests.support.fault_proxy import Proxy

pytestmark = pytest.mark.servers


def a_subscriber(
    yard: Yard, url: str | None = None, *, prefetch: int = 16, **more: Any
) -> Subscriber:
    return Subscriber(url or yard.url, name="back", routes={yard.route: prefetch}, **more)


async def given_knocks(yard: Yard, *bodies: bytes) -> None:
    async with running(Publisher(yard.url, name="front", pools=[yard.pool])) as publisher:
        for number, body in enumerate(bodies):
            await publisher.knock(yard.route, body, message_id=f"{number}")


async def arrived(subscriber: Subscriber, yard: Yard, count: int = 1) -> list[Delivery]:
    """Take what waits, when it is *count* knocks."""
    waiting = subscriber.waiting[yard.route]
    await until(lambda: len(waiting) >= count)
    taken = list(waiting)
    waiting.clear()
    return taken


async def left_over(yard: Yard) -> list[bytes]:
    """See what a new worker would get; nothing is acked."""
    async with running(a_subscriber(yard, look_every=0.02)) as subscriber:
        await until(lambda: subscriber.depth(yard.route) == 0)
        return sorted(delivery.body for delivery in subscriber.waiting[yard.route])


async def test_a_knock_arrives_as_it_was_sent(yard: Yard) -> None:
    """What the consumer logs and follows comes from here."""
    async with running(Publisher(yard.url, name="front", pools=[yard.pool])) as publisher:
        await publisher.knock(yard.route, b"{}", message_id="7", headers={"X-Track-ID": "t"})

    async with running(a_subscriber(yard)) as subscriber:
        async with asyncio.timeout(5):
            await subscriber.news.wait()
        (delivery,) = await arrived(subscriber, yard)

    assert (delivery.body, delivery.route, delivery.message_id) == (b"{}", yard.route, "7")
    assert delivery.headers["X-Track-ID"] == "t"
    assert delivery.user_id == publisher.link.user
    assert not delivery.redelivered


async def test_an_acked_knock_does_not_come_again(yard: Yard) -> None:
    """The lease has custody from then on."""
    await given_knocks(yard, b"done", b"open")
    async with running(a_subscriber(yard)) as subscriber:
        done, _ = await arrived(subscriber, yard, 2)

        assert await done.ack()

    assert await left_over(yard) == [b"open"]


async def test_a_knock_is_settled_once(yard: Yard) -> None:
    """A second ack would cost the channel, and with it every knock that is prefetched."""
    await given_knocks(yard, b"1", b"2")
    async with running(a_subscriber(yard)) as subscriber:
        first, second = await arrived(subscriber, yard, 2)
        born = subscriber.link.born

        assert [await first.ack(), await first.ack(), await first.reject()] == [True, False, False]
        assert await second.ack()
        assert subscriber.link.born == born


async def test_many_acks_at_once_settle_these_and_no_others(yard: Yard) -> None:
    """One frame for a run of acks must not swallow a knock whose claim is still under way."""
    await given_knocks(yard, *(b"%d" % n for n in range(6)))
    async with running(a_subscriber(yard)) as subscriber:
        knocks = await arrived(subscriber, yard, 6)

        settled = await ack_all([knocks[3], knocks[0], knocks[1], knocks[5]])

    assert settled == 4
    assert await left_over(yard) == [b"2", b"4"]


async def test_settling_from_many_tasks_at_once_settles_all(yard: Yard) -> None:
    """Lanes end when they like."""
    await given_knocks(yard, *(b"%d" % n for n in range(30)))
    async with running(a_subscriber(yard, prefetch=40)) as subscriber:
        knocks = await arrived(subscriber, yard, 30)
        told = await asyncio.gather(
            *(knock.reject() if n % 7 == 0 else knock.ack() for n, knock in enumerate(knocks)),
            ack_all(knocks[10:20]),
        )

        assert sum(told) == 30

    assert await left_over(yard) == []


async def test_a_rejected_knock_goes_to_the_dead_letters(yard: Yard) -> None:
    """Somebody must be able to see what could not be decoded."""
    body = f"no knock of {yard.pool}".encode()
    await given_knocks(yard, body)
    async with running(a_subscriber(yard)) as subscriber:
        (delivery,) = await arrived(subscriber, yard)

        assert await delivery.reject()

        dead = await yard.dead(body)
    headers = dead.header.properties.headers
    assert headers is not None
    assert headers["x-first-death-reason"] == "rejected"
    assert headers["x-first-death-queue"] == yard.route


async def test_a_message_too_large_for_a_knock_never_reaches_a_reader(yard: Yard) -> None:
    """A stranger's gigabyte must not be decoded, nor come again and again."""
    await given_knocks(yard)
    body = yard.pool.encode() * (LARGEST_KNOCK // len(yard.pool) + 1)
    async with running(a_subscriber(yard)) as subscriber:
        await yard.put(body)
        await yard.put(b"small")
        (delivery,) = await arrived(subscriber, yard)

        assert delivery.body == b"small"
        await yard.dead(body)


async def test_a_stranger_s_message_is_taken_as_it_is(yard: Yard) -> None:
    """Headers may be of any type, or missing: judging the body is the reader's task."""
    await given_knocks(yard)
    odd = spec.Basic.Properties(headers={"X-Track-ID": 7, "deep": {"er": [1]}, "text": "t"})
    async with running(a_subscriber(yard)) as subscriber:
        await yard.put(b"odd", odd)
        await yard.put(b"")
        first, second = await arrived(subscriber, yard, 2)

    assert (first.headers, first.user_id) == ({"text": "t"}, None)
    assert second.body == b""


async def test_the_broker_gives_no_more_than_the_prefetch(yard: Yard) -> None:
    """What waits here behind a busy worker could run elsewhere."""
    await given_knocks(yard, *(b"%d" % n for n in range(5)))
    async with running(a_subscriber(yard, prefetch=2, look_every=0.02)) as subscriber:
        await until(lambda: subscriber.depth(yard.route) == 3)
        assert len(subscriber.waiting[yard.route]) == 2

        await subscriber.waiting[yard.route].popleft().ack()

        await until(lambda: subscriber.depth(yard.route) == 2)


async def test_each_priority_waits_for_itself(yard: Yard) -> None:
    """High priority never waits behind a full buffer of low."""
    routes = [queue.name for queue in pool_queues(yard.pool)]
    async with AsyncExitStack() as stack:
        publisher = Publisher(yard.url, name="front", pools=[yard.pool])
        await stack.enter_async_context(running(publisher))
        subscriber = Subscriber(yard.url, name="back", routes=dict.fromkeys(routes, 4))
        await stack.enter_async_context(running(subscriber))

        for route in routes:
            await publisher.knock(route, route.encode(), message_id="1")

        await until(lambda: all(subscriber.waiting.values()))
        assert [subscriber.waiting[route][0].body.decode() for route in routes] == routes


async def test_what_was_not_acked_comes_again_after_a_lost_connection(
    yard: Yard, proxy: Proxy
) -> None:
    """Nothing is lost with a worker, and nothing is held twice by one."""
    await given_knocks(yard, b"1", b"2")
    async with running(a_subscriber(yard, proxy.url)) as subscriber:
        waiting = subscriber.waiting[yard.route]
        await until(lambda: len(waiting) == 2)
        old = waiting[0]

        proxy.cut()

        await until(lambda: len(waiting) == 2 and waiting[0] is not old)
        assert [delivery.body for delivery in waiting] == [b"1", b"2"]
        assert all(delivery.redelivered for delivery in waiting)
        assert not await old.ack()  # of a channel that is gone, and no error
        assert await waiting[0].ack()


async def test_settling_while_the_line_is_lost_does_not_hold_anybody_up(
    yard: Yard, proxy: Proxy
) -> None:
    """Jobs are claimed by then, and their handlers wait to run."""
    await given_knocks(yard, *(b"%d" % n for n in range(40)))
    async with running(a_subscriber(yard, proxy.url, prefetch=40)) as subscriber:
        knocks = await arrived(subscriber, yard, 40)
        proxy.cut()
        async with asyncio.timeout(2):
            for knock in knocks[::2]:
                await knock.ack()


async def test_a_consumer_comes_back_when_the_broker_closes_its_connection(yard: Yard) -> None:
    """Nobody restarts a worker by hand."""
    async with running(a_subscriber(yard)) as subscriber:
        await make_the_broker_close(subscriber.link)
        await given_knocks(yard, b"after")

        assert [delivery.body for delivery in await arrived(subscriber, yard)] == [b"after"]


async def test_a_consumer_comes_back_when_its_queue_is_deleted(yard: Yard) -> None:
    """The broker says so in a frame that the upper library shows to nobody."""
    async with running(a_subscriber(yard)) as subscriber:
        born = subscriber.link.born
        await yard.delete(yard.route)
        await until(lambda: subscriber.link.born != born)
        await given_knocks(yard, b"after")

        assert [delivery.body for delivery in await arrived(subscriber, yard)] == [b"after"]


async def vanish(subscriber: Subscriber, yard: Yard) -> None:
    """Cancel the consumer behind the subscriber's back: nothing tells it."""
    custody = subscriber._sources[yard.route]._custody
    assert custody is not None
    (tag,) = custody.channel.consumers
    await custody.channel.basic_cancel(tag)


async def test_a_consumer_that_vanished_without_a_sign_is_missed(yard: Yard) -> None:
    """The worker would wait for ever beside a full queue."""
    async with running(a_subscriber(yard, look_every=0.05)) as subscriber:
        await vanish(subscriber, yard)
        await given_knocks(yard, b"after")

        assert [delivery.body for delivery in await arrived(subscriber, yard)] == [b"after"]


async def test_silence_beside_a_full_queue_is_not_believed(yard: Yard) -> None:
    """Another worker's consumer hides that ours has vanished."""
    other = a_subscriber(yard, prefetch=1)
    lone = a_subscriber(yard, look_every=0.05, silence=0.3)
    async with running(other), running(lone):
        await vanish(lone, yard)
        await given_knocks(yard, b"1", b"2", b"3")

        await until(lambda: lone.waiting[yard.route])


async def test_silence_while_we_have_no_room_is_right(yard: Yard) -> None:
    """A worker that is busy for an hour must not dial again and again."""
    await given_knocks(yard, b"1", b"2")
    async with running(a_subscriber(yard, prefetch=1, look_every=0.02)) as lone:
        await until(lambda: lone.depth(yard.route) == 1)
        first = lone.waiting[yard.route][0]
        lone._sources[yard.route]._heard_at -= 3600
        await lone.look()

        assert list(lone.waiting[yard.route]) == [first]


async def test_a_pause_gives_prefetched_knocks_back_at_once(yard: Yard) -> None:
    """A worker that drains must not sit on work that others could do."""
    await given_knocks(yard, b"1", b"2", b"3")
    async with running(a_subscriber(yard)) as leaving:
        taken = (await arrived(leaving, yard, 3))[0]

        async with asyncio.timeout(2):
            await leaving.pause()

        assert not leaving.waiting[yard.route]
        assert await left_over(yard) == [b"1", b"2", b"3"]
        assert not await taken.ack()


async def test_after_a_pause_nothing_is_consumed_any_more(yard: Yard) -> None:
    """Not even by a connection that is made later."""
    async with running(a_subscriber(yard)) as leaving:
        await leaving.pause()
        born = leaving.link.born
        leaving.link.drop("for the test")
        await until(lambda: leaving.link.born != born)
        await given_knocks(yard, b"later")

        assert await left_over(yard) == [b"later"]
        assert not leaving.waiting[yard.route]


async def test_a_pause_does_not_wait_for_a_silent_broker(yard: Yard, proxy: Proxy) -> None:
    """A drain has seconds."""
    async with running(a_subscriber(yard, proxy.url)) as leaving:
        proxy.freeze()
        async with asyncio.timeout(4):
            await leaving.pause()
        proxy.thaw()


async def test_a_pause_without_a_broker_is_no_trouble(yard: Yard) -> None:
    """The broker may be what goes down."""
    subscriber = a_subscriber(yard, "amqp://127.0.0.1:1/")

    await subscriber.pause()

    assert subscriber.is_paused


async def test_the_depth_of_a_queue_is_known_only_after_a_look(yard: Yard) -> None:
    """The rescuer must not take ignorance for an empty queue."""
    await given_knocks(yard, *(b"%d" % n for n in range(5)))
    subscriber = a_subscriber(yard, prefetch=1, look_every=60)
    assert subscriber.depth(yard.route) is None

    async with running(subscriber):
        await until(lambda: subscriber.waiting[yard.route])
        await subscriber.look()
        assert subscriber.depth(yard.route) == 4
        assert subscriber.depth(yard.route, within=0.0) is None  # that look is not young enough
        subscriber.link.drop("for the test")
        await until(lambda: subscriber.depth(yard.route) is None)


async def test_a_queue_that_is_missing_holds_up_no_other(yard: Yard) -> None:
    """Low priority may be broken; high must not wait for its repair."""
    await given_knocks(yard, b"1")
    missing = pool_queues(yard.pool)[2].name
    await yard.delete(missing)
    routes = {yard.route: 4, missing: 4}
    two = Subscriber(yard.url, name="back", routes=routes, declare=False, look_every=0.05)
    async with running(two):
        await until(lambda: two.waiting[yard.route])
        kept = two.waiting[yard.route][0]

        async with running(Publisher(yard.url, name="front", pools=[yard.pool])) as publisher:
            await publisher.knock(missing, b"2", message_id="2")

        await until(lambda: two.waiting[missing])
        assert await kept.ack()  # of the same connection as ever


async def test_a_worker_that_may_not_declare_waits_until_the_queue_is_there(yard: Yard) -> None:
    """In production a deploy declares; the order of the two must not matter."""
    subscriber = a_subscriber(yard, declare=False)
    with capture_logs() as lines:
        async with started(subscriber):
            await until(lambda: any(line["event"] == "broker out of reach" for line in lines))
            assert not await yard.is_there(yard.route)

            await given_knocks(yard, b"1")
            assert [delivery.body for delivery in await arrived(subscriber, yard)] == [b"1"]


@pytest.mark.parametrize("routes", [{"jobs.a.high": 0}, {"jobs.a.high": 65_536}, {"elsewhere": 1}])
def test_routes_that_cannot_be_are_refused_at_once(routes: dict[str, int]) -> None:
    """A prefetch of 0 means no limit: the broker would pour the whole queue into memory."""
    with pytest.raises(ValueError, match=r"prefetch|job queue"):
        Subscriber("amqp://here/", name="back", routes=routes)
