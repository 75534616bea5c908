"""One supervised connection: whatever goes wrong, it dials again."""

import asyncio
import random

import pytest
from aio_pika.abc import AbstractConnection
from aiormq import spec
from pamqp.common import FieldValue
from structlog.testing import capture_logs
from yarl import URL

from shared.broker.connection import Link, open_channel
from shared.broker.declaration import declare
from shared.broker.topology import job_queue, job_topology
from shared.broker.troubles import BrokerTrouble
from tests.broker.scene import Yard, make_the_broker_close, running, started, until
from tests.support.fault_proxy import Proxy

pytestmark = pytest.mark.servers


class Lone:
    """A service that is nothing but its link, and counts its lives."""

    def __init__(self, url: str, *, patience: float = 10.0) -> None:
        self.lives = 0
        self.link = Link(url, name="lone", set_up=self._set_up, patience=patience)

    async def run(self) -> None:
        await self.link.run()

    async def _set_up(self, link: Link, connection: AbstractConnection) -> None:
        await open_channel(link, connection, confirms=True)
        self.lives += 1


async def test_a_host_that_is_dead_is_passed_over(amqp_url: str) -> None:
    """One node of three may be away for hours."""
    async with running(Lone(f"amqp://127.0.0.1:1/,{amqp_url}")) as lone:
        assert lone.link.trouble is None


async def test_a_connection_that_the_broker_closes_is_made_again(amqp_url: str) -> None:
    """Operators close connections, and so does every restart."""
    async with running(Lone(amqp_url)) as lone:
        await make_the_broker_close(lone.link)

        await until(lambda: lone.lives == 2 and lone.link.up.is_set())


async def test_a_connection_that_is_reset_is_made_again(proxy: Proxy) -> None:
    """Firewalls and load balancers end lines without a word."""
    async with running(Lone(proxy.url)) as lone:
        proxy.cut()

        await until(lambda: lone.lives == 2 and lone.link.up.is_set())


async def test_a_line_gone_silent_is_noticed_by_heartbeat_and_made_again(proxy: Proxy) -> None:
    """The library ends its waits with a bare cancel there, which must not end the service."""
    url = str(URL(proxy.url).update_query(heartbeat=1))
    async with running(Lone(url)) as lone:
        proxy.freeze()
        await until(lambda: not lone.link.up.is_set(), within=15)
        proxy.thaw()

        await until(lone.link.up.is_set, within=15)


async def test_a_broker_that_is_silent_from_the_start_is_given_up_in_time(proxy: Proxy) -> None:
    """The limits of the library do not cover all of its waits; ours do."""
    proxy.freeze()
    async with started(Lone(proxy.url)) as lone:
        await until(lambda: proxy.dialled >= 2, within=15)
        proxy.thaw()

        await until(lone.link.up.is_set, within=15)


async def test_a_link_to_a_silent_broker_stops_when_told(proxy: Proxy) -> None:
    """A drain has seconds; a goodbye that nobody hears must not use them up."""
    async with asyncio.timeout(5), running(Lone(proxy.url)):
        proxy.freeze()


async def test_a_link_stopped_at_any_moment_stops_and_leaves_nothing_behind(
    amqp_url: str,
) -> None:
    """The library swallows cancels, and forgets connections that were made a moment too late."""
    dice = random.Random(7)
    for _ in range(60):
        async with started(Lone(amqp_url)) as lone:
            await asyncio.sleep(dice.uniform(0, 0.02))
            lone.link.drop("for the test")
            await asyncio.sleep(dice.uniform(0, 0.01))


async def test_a_wrong_password_is_said_and_not_shown(amqp_url: str) -> None:
    """The log is read by many."""
    url = str(URL(amqp_url).with_password("no-secret-of-ours"))
    with capture_logs() as lines:
        async with started(Lone(url)) as lone:
            await until(lambda: any(line["event"] == "broker out of reach" for line in lines))

            assert not lone.link.up.is_set()
    assert "no-secret-of-ours" not in f"{lines} {lone.link.trouble}"


async def test_trouble_that_lasts_is_not_said_with_every_dial() -> None:
    """An outage of an hour must not fill the disk."""
    dials = 0

    def dice() -> float:  # thrown before each dial but the first
        nonlocal dials
        dials += 1
        return 0.0

    with capture_logs() as lines:
        lone = Lone("amqp://127.0.0.1:1/")
        lone.link._dice = dice
        async with started(lone):
            await until(lambda: dials >= 5)

    assert [line["event"] for line in lines] == ["broker out of reach"]


async def test_a_topology_that_the_broker_refuses_is_loud_and_never_up(yard: Yard) -> None:
    """A queue with other arguments is a bug or an accident: no knock may go astray silently."""
    channel = await yard.channel()
    arguments: dict[str, FieldValue] = {**job_queue(yard.route).arguments, "x-delivery-limit": 7}
    await channel.queue_declare(yard.route, durable=True, arguments=arguments)

    async def set_up(link: Link, connection: AbstractConnection) -> None:
        await declare(link, connection, job_topology([yard.route]))

    lone = Lone(yard.url)
    lone.link = Link(yard.url, name="lone", set_up=set_up)
    with capture_logs() as lines:
        async with started(lone):
            await until(lambda: any(line["log_level"] == "error" for line in lines))
            assert not lone.link.up.is_set()

            await yard.delete(yard.route)
            await until(lone.link.up.is_set)
    assert "x-delivery-limit" in next(line for line in lines if line["log_level"] == "error")["why"]


async def test_what_is_left_of_an_older_connection_does_not_touch_the_new_one(
    amqp_url: str,
) -> None:
    """A late callback would else end one sound connection after another."""
    async with running(Lone(amqp_url)) as lone:
        late = lone.link.dropper()
        lone.link.drop("for the test")
        await until(lambda: lone.lives == 2 and lone.link.up.is_set())

        late("an echo")

        assert not lone.link.lost.is_set()


async def test_a_channel_that_is_lost_while_setting_up_is_trouble(amqp_url: str) -> None:
    """Else a link would call itself up without the channel it stands on."""
    lives = 0

    async def set_up(link: Link, connection: AbstractConnection) -> None:
        nonlocal lives
        lives += 1
        channel = await open_channel(link, connection, confirms=False)
        if lives == 1:
            await channel.close()

    lone = Lone(amqp_url)
    lone.link = Link(amqp_url, name="lone", set_up=set_up)
    async with running(lone):
        assert lives == 2


async def test_a_message_in_another_user_s_name_is_refused(yard: Yard) -> None:
    """The consumer trusts the user of a message because the broker vouches for it."""
    channel = await yard.channel()
    await channel.exchange_declare("jobs", exchange_type="direct", durable=True)

    with pytest.raises(Exception, match="user_id"):
        await channel.basic_publish(
            b"{}",
            exchange="jobs",
            routing_key=yard.route,
            properties=spec.Basic.Properties(user_id="somebody"),
        )


def test_a_link_needs_a_broker_s_url() -> None:
    """A wrong setting must stop the start, not show later."""

    async def set_up(_link: Link, _connection: AbstractConnection) -> None:
        raise BrokerTrouble

    with pytest.raises(ValueError, match="amqp://"):
        Link("postgres://here/", name="lone", set_up=set_up)
