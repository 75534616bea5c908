"""The loop of production is uvloop; the tests run on the one that debugs best."""

import asyncio

import pytest

from shared.broker.fanout import FanIn, FanOut
from shared.broker.publisher import Publisher
from shared.broker.subscriber import Subscriber
from shared.broker.topology import route
from tests.broker.scene import Yard, make_the_broker_close, running, until

uvloop = pytest.importorskip("uvloop", reason="uvloop is not for this platform")
pytestmark = pytest.mark.servers


async def knock_and_tell(url: str, pool: str) -> list[bytes]:
    """Go twice through everything, over connections that the broker closes; give what came."""
    assert isinstance(asyncio.get_running_loop(), uvloop.Loop)
    came: list[bytes] = []
    heard: list[bytes] = []
    ear = FanIn(url, name="front-test", on_message=heard.append, on_reconnect=heard.clear)
    async with (
        running(Publisher(url, name="front", pools=[pool])) as publisher,
        running(Subscriber(url, name="back", routes={route(pool, "high"): 4})) as subscriber,
        running(FanOut(url, name="back-test")) as fan_out,
        running(ear),
    ):
        for number in range(2):
            await publisher.knock(route(pool, "high"), b"%d" % number, message_id="1")
            await until(lambda: subscriber.waiting[route(pool, "high")])
            delivery = subscriber.waiting[route(pool, "high")].popleft()
            assert await delivery.ack()
            came.append(delivery.body)
            fan_out.offer(pool.encode())
            await until(lambda: pool.encode() in heard)
            for service in (publisher, subscriber, fan_out, ear):
                await make_the_broker_close(service.link)
                async with asyncio.timeout(5):
                    await service.link.lost.wait()
                    await service.link.up.wait()
    return came


async def test_knocks_and_events_travel_on_uvloop_too(yard: Yard) -> None:
    """A library may lean on what only one of the loops does."""
    came = await asyncio.to_thread(uvloop.run, knock_and_tell(yard.url, yard.pool))

    assert came == [b"0", b"1"]
