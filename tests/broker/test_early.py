"""Early knocks on the real broker: heard at once or not at all, and never a trouble."""

import asyncio

import pytest

from shared.broker.publisher import Publisher
from shared.broker.subscriber import Subscriber
from shared.broker.topology import early_name, early_queue
from tests.broker.scene import Yard, make_the_broker_close, running, until
from tests.support.fault_proxy import open_proxy

pytestmark = pytest.mark.servers


def a_publisher(yard: Yard, url: str | None = None) -> Publisher:
    return Publisher(url or yard.url, name="front", pools=[yard.pool])


def a_subscriber(yard: Yard) -> Subscriber:
    return Subscriber(yard.url, name="back", routes={yard.route: 4}, look_every=0.05)


async def test_an_early_knock_is_heard(yard: Yard) -> None:
    """With the name that the real one will have."""
    async with running(a_publisher(yard)) as publisher, running(a_subscriber(yard)) as subscriber:
        await publisher.knock_early(yard.route, b"{}", message_id="7")
        await until(lambda: subscriber.early)

        assert list(subscriber.early) == [("7", b"{}")]
        assert subscriber.news.is_set()
        assert not subscriber.waiting[yard.route]


async def test_an_early_knock_that_nobody_hears_is_gone(yard: Yard) -> None:
    """It hinders no real knock, and nothing of it is left for whoever comes later."""
    async with running(a_publisher(yard)) as publisher:
        await publisher.knock_early(yard.route, b"early", message_id="7")
        await publisher.knock(yard.route, b"real", message_id="7")
        async with running(a_subscriber(yard)) as subscriber:
            await until(lambda: subscriber.waiting[yard.route])
            await publisher.knock_early(yard.route, b"second", message_id="8")
            await until(lambda: subscriber.early)

            assert list(subscriber.early) == [("8", b"second")]


async def test_early_knocks_are_heard_where_others_made_the_queue(yard: Yard) -> None:
    """With few rights a worker makes nothing; where nobody made it, only real knocks come."""
    routes = {yard.route: 4}
    async with running(a_publisher(yard)) as publisher:
        modest = Subscriber(yard.url, name="back", routes=routes, declare=False, look_every=0.05)
        async with running(modest):
            await publisher.knock(yard.route, b"real", message_id="7")
            await until(lambda: modest.waiting[yard.route])
            assert not await yard.is_there(early_name(yard.route))
            async with running(a_subscriber(yard)):
                pass  # it makes the queue
            await until(lambda: is_listening(modest))
            await publisher.knock_early(yard.route, b"{}", message_id="8")
            await until(lambda: modest.early)


def is_listening(subscriber: Subscriber) -> bool:
    channel = subscriber._early._channel
    return channel is not None and not channel.is_closed


async def test_a_listener_hears_again_after_its_connection_was_lost(yard: Yard) -> None:
    """And after its channel alone was closed, at the next look."""
    async with running(a_publisher(yard)) as publisher, running(a_subscriber(yard)) as subscriber:
        await make_the_broker_close(subscriber.link)
        await until(lambda: not subscriber.link.up.is_set())
        await subscriber.link.up.wait()
        channel = subscriber._early._channel
        assert channel is not None
        await channel.close()
        await until(lambda: subscriber._early._channel is not channel)
        await publisher.knock_early(yard.route, b"{}", message_id="7")
        await until(lambda: subscriber.early)


async def test_a_listener_without_the_right_to_make_the_queue_works_on(yard: Yard) -> None:
    """Somebody made it with other arguments, say: real knocks come as ever."""
    channel = await yard.channel()
    await channel.queue_declare(early_queue(yard.pool).name, durable=True)
    try:
        async with (
            running(a_publisher(yard)) as publisher,
            running(a_subscriber(yard)) as subscriber,
        ):
            await publisher.knock(yard.route, b"{}", message_id="7")
            await until(lambda: subscriber.waiting[yard.route])
    finally:
        await (await yard.channel()).queue_delete(early_queue(yard.pool).name)


async def test_a_mute_broker_costs_an_early_knock_little_time(yard: Yard) -> None:
    """The real one follows it, and has a patience of its own."""
    async with open_proxy(yard.url) as proxy, running(a_publisher(yard, proxy.url)) as publisher:
        proxy.freeze()
        async with asyncio.timeout(2):
            for number in range(10):
                await publisher.knock_early(yard.route, b"x" * 60_000, message_id=f"{number}")


async def test_a_listener_that_pauses_hears_no_more(yard: Yard) -> None:
    """A worker that drains takes nothing on."""
    async with running(a_publisher(yard)) as publisher, running(a_subscriber(yard)) as subscriber:
        await publisher.knock_early(yard.route, b"{}", message_id="7")
        await until(lambda: subscriber.early)
        await subscriber.pause()

        assert not subscriber.early
        assert subscriber._early._channel is None
