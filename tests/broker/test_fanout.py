"""Events to every listener: at most once, in order, and nobody waits for them."""

import asyncio
from contextlib import AsyncExitStack
from secrets import token_hex

import pytest
from aiormq.abc import DeliveredMessage

from shared.broker.fanout import LARGEST_EVENT, FanIn, FanOut
from shared.broker.packs import unpack
from tests.broker.scene import Yard, make_the_broker_close, running, started, until
from tests.support.fault_proxy import Proxy

pytestmark = pytest.mark.servers


class Ear:
    """A listener that keeps what bears its mark: others' tests share the exchange."""

    def __init__(self, url: str, mark: bytes) -> None:
        self.heard: list[bytes] = []
        self.begun = 0
        self.mark = mark
        self.fan_in = FanIn(url, name="front-test", on_message=self._hear, on_reconnect=self._begin)

    def _hear(self, body: bytes) -> None:
        if body.startswith(self.mark):
            self.heard.append(body.removeprefix(self.mark))

    def _begin(self) -> None:
        self.begun += 1


@pytest.fixture
def mark() -> bytes:
    return token_hex(8).encode()


async def test_every_listener_hears_everything_in_order(amqp_url: str, mark: bytes) -> None:
    """A watcher may be on any replica."""
    ears = [Ear(amqp_url, mark), Ear(amqp_url, mark)]
    async with AsyncExitStack() as stack:
        for ear in ears:
            await stack.enter_async_context(running(ear.fan_in))
        fan_out = await stack.enter_async_context(running(FanOut(amqp_url, name="back-test")))

        for number in range(500):
            fan_out.offer(mark + b"%d" % number)

        await until(lambda: all(len(ear.heard) == 500 for ear in ears))
        assert all(ear.heard == [b"%d" % n for n in range(500)] for ear in ears)


async def test_events_offered_together_travel_together(yard: Yard, mark: bytes) -> None:
    """Frames are what costs: one message for the events of one group commit."""
    async with running(FanOut(yard.url, name="back-test")) as fan_out:
        messages = await listen(yard, mark.decode())
        for number in range(100):
            fan_out.offer(b"%d" % number, mark.decode())

        await until(lambda: messages)
    assert unpack(messages[0].body) == [b"%d" % n for n in range(100)]
    assert messages[0].header.properties.delivery_mode == 1  # never on the broker's disk


async def test_events_travel_under_their_own_keys(yard: Yard, mark: bytes) -> None:
    """Whoever binds to one shard must not get another's in its place."""
    one, other = f"{mark.decode()}.1", f"{mark.decode()}.2"
    async with running(FanOut(yard.url, name="back-test")) as fan_out:
        ones, others = await listen(yard, one), await listen(yard, other)
        for key in (one, other, one):
            fan_out.offer(key.encode(), key)

        await until(lambda: len(ones) == 2 and others)
    assert {body for message in ones for body in unpack(message.body)} == {one.encode()}
    assert unpack(others[0].body) == [other.encode()]


async def listen(yard: Yard, key: str) -> list[DeliveredMessage]:
    """Bind a plain queue to *key*; what comes is put into the list."""
    messages: list[DeliveredMessage] = []

    async def keep(message: DeliveredMessage) -> None:
        messages.append(message)

    channel = await yard.channel()
    queue = (await channel.queue_declare(exclusive=True)).queue or ""
    await channel.queue_bind(queue, "events", key)
    await channel.basic_consume(queue, keep, no_ack=True)
    return messages


async def test_events_of_different_keys_keep_their_order(amqp_url: str, mark: bytes) -> None:
    """They travel apart, and must not overtake."""
    ear = Ear(amqp_url, mark)
    async with running(ear.fan_in), running(FanOut(amqp_url, name="back-test")) as fan_out:
        for number in range(20):
            fan_out.offer(mark + b"%d" % number, f"key{number % 3}")

        await until(lambda: len(ear.heard) == 20)
        assert ear.heard == [b"%d" % n for n in range(20)]


async def test_without_a_broker_only_the_newest_events_are_kept(amqp_url: str, mark: bytes) -> None:
    """The buffer is bounded, and says what it lost."""
    ear = Ear(amqp_url, mark)
    fan_out = FanOut(amqp_url, name="back-test", limit=10)
    for number in range(30):
        fan_out.offer(mark + b"%d" % number)
    assert fan_out.dropped == 20

    async with running(ear.fan_in), running(fan_out):
        await until(lambda: len(ear.heard) == 10)
        assert ear.heard == [b"%d" % n for n in range(20, 30)]


@pytest.mark.parametrize(
    ("body", "key"),
    [(b"x" * (LARGEST_EVENT + 1), "jobs"), (b"", "k" * 256), (b"", "\ud800")],
    ids=["body", "key", "text"],
)
async def test_an_event_that_cannot_travel_is_dropped_alone(
    amqp_url: str, mark: bytes, body: bytes, key: str
) -> None:
    """Offering is in the path of a job: it must not fail, and not take others with it."""
    ear = Ear(amqp_url, mark)
    async with running(ear.fan_in), running(FanOut(amqp_url, name="back-test")) as fan_out:
        fan_out.offer(body, key)
        fan_out.offer(mark + b"next")

        await until(lambda: ear.heard == [b"next"])
        assert fan_out.dropped == 1


async def test_large_events_arrive_whole(amqp_url: str, mark: bytes) -> None:
    """They are cut into frames on the way."""
    ear = Ear(amqp_url, mark)
    large = b"x" * (LARGEST_EVENT - len(mark))
    async with running(ear.fan_in), running(FanOut(amqp_url, name="back-test")) as fan_out:
        for body in (b"before", large, b"after"):
            fan_out.offer(mark + body)

        await until(lambda: len(ear.heard) == 3)
        assert ear.heard == [b"before", large, b"after"]


async def test_a_listener_is_told_to_read_again_at_every_connect(
    amqp_url: str, mark: bytes
) -> None:
    """What happened while it was deaf is in the store alone."""
    ear = Ear(amqp_url, mark)
    async with running(ear.fan_in), running(FanOut(amqp_url, name="back-test")) as fan_out:
        assert ear.begun == 1

        await make_the_broker_close(ear.fan_in.link)

        await until(lambda: ear.begun == 2)
        fan_out.offer(mark + b"after")
        await until(lambda: ear.heard == [b"after"])


async def test_a_listener_with_a_half_open_line_is_not_locked_out(
    amqp_url: str, proxy: Proxy, mark: bytes
) -> None:
    """The broker still holds the old queue for its old connection: so the new one has a name."""
    ear = Ear(proxy.url, mark)
    async with running(ear.fan_in), running(FanOut(amqp_url, name="back-test")) as fan_out:
        proxy.freeze()
        ear.fan_in.link.drop("for the test")
        await until(lambda: not ear.fan_in.link.up.is_set())
        proxy.thaw()

        await until(lambda: ear.begun == 2, within=10)
        fan_out.offer(mark + b"after")
        await until(lambda: ear.heard == [b"after"])


async def test_a_stranger_s_event_is_passed_over(yard: Yard, mark: bytes) -> None:
    """Anybody with the right to write to the exchange can send anything."""
    ear = Ear(yard.url, mark)
    async with running(ear.fan_in), running(FanOut(yard.url, name="back-test")) as fan_out:
        channel = await yard.channel()
        await channel.basic_publish(b"no pack", exchange="events", routing_key="jobs")
        await channel.basic_publish(b"", exchange="events", routing_key="jobs")
        fan_out.offer(mark + b"next")

        await until(lambda: ear.heard == [b"next"])


async def test_a_listener_that_fails_on_one_event_hears_the_next(
    amqp_url: str, mark: bytes
) -> None:
    """One bad document must not make a replica deaf."""
    ear = Ear(amqp_url, mark)
    hear = ear._hear

    def fail_once(body: bytes) -> None:
        ear.fan_in._on_message = hear
        raise LookupError(body)

    async with running(ear.fan_in), running(FanOut(amqp_url, name="back-test")) as fan_out:
        ear.fan_in._on_message = fail_once
        fan_out.offer(mark + b"first")
        fan_out.offer(mark + b"second")

        await until(lambda: ear.heard == [b"second"])


async def test_offering_never_waits_for_a_silent_broker(
    amqp_url: str, proxy: Proxy, mark: bytes
) -> None:
    """No job is held up by a dashboard; and afterwards events flow again."""
    ear = Ear(amqp_url, mark)
    async with running(ear.fan_in), running(FanOut(proxy.url, name="b", limit=50)) as fan_out:
        proxy.freeze()
        async with asyncio.timeout(2):
            for _ in range(400):
                fan_out.offer(b"x" * 50_000)
                await asyncio.sleep(0)
        assert len(fan_out._buffer) <= 50
        assert fan_out.dropped > 0
        proxy.thaw()
        fan_out.offer(mark + b"after")

        await until(lambda: ear.heard == [b"after"], within=15)


async def test_a_fan_out_that_never_found_a_broker_stops_when_told() -> None:
    """Its buffer is full, and nobody will ever want it."""
    async with asyncio.timeout(3), started(FanOut("amqp://127.0.0.1:1/", name="b")) as fan_out:
        fan_out.offer(b"lost")
