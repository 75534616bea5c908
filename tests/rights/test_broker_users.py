"""Each user of the broker does what its service does, and is refused all the rest."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import aiormq
import pytest
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel
from aiormq.exceptions import ChannelAccessRefused, ChannelPreconditionFailed

from deploy.local.stack import Stack
from shared.broker.provision import NotProvided, provide
from tests.rights.users import Users, open_users, permissions

pytestmark = pytest.mark.servers

QUEUE: Final = "jobs.default.normal"
Deed = Callable[[Channel], Awaitable[object]]


async def _nothing(_: DeliveredMessage) -> None:
    """Take what nobody should get."""


async def _read_work(channel: Channel) -> None:
    await channel.basic_consume(QUEUE, _nothing)


async def _declare_work(channel: Channel) -> None:
    await channel.queue_declare("jobs.mine.normal", durable=True)


async def _empty_work(channel: Channel) -> None:
    await channel.queue_purge(QUEUE)


async def _delete_work(channel: Channel) -> None:
    await channel.queue_delete(QUEUE)


async def _delete_exchange(channel: Channel) -> None:
    await channel.exchange_delete("jobs")


async def _declare_exchange(channel: Channel) -> None:
    await channel.exchange_declare("mine")


async def _declare_other(channel: Channel) -> None:
    await channel.queue_declare("mine", durable=True)


async def _listen_in(channel: Channel) -> None:
    await channel.queue_declare("events.spy", exclusive=True)


async def _tap_work(channel: Channel) -> None:
    await channel.queue_bind(QUEUE, "jobs", "jobs.default.high")


async def _knock_directly(channel: Channel) -> None:
    await channel.basic_publish(b"{}", routing_key=QUEUE)


async def _forge_a_dead_letter(channel: Channel) -> None:
    await channel.basic_publish(b"{}", exchange="jobs.dead", routing_key="")


async def _knock(channel: Channel) -> None:
    await channel.basic_publish(b"{}", exchange="jobs", routing_key=QUEUE)


async def _tell(channel: Channel) -> None:
    await channel.basic_publish(b"{}", exchange="events", routing_key="00.completed")


_OF_ALL: Final[dict[str, Deed]] = {
    "declares another queue": _declare_other,
    "declares another exchange": _declare_exchange,
    "knocks past the exchange": _knock_directly,
}
_OF_SERVICES: Final[dict[str, Deed]] = {
    "declares a queue for work": _declare_work,
    "deletes a queue": _delete_work,
    "deletes an exchange": _delete_exchange,
    "binds work elsewhere": _tap_work,
    "forges a dead letter": _forge_a_dead_letter,
}
FORBIDDEN: Final[dict[str, dict[str, Deed]]] = {
    "front": _OF_ALL | _OF_SERVICES | {"reads work": _read_work, "empties work": _empty_work},
    "back": _OF_ALL | _OF_SERVICES | {"listens to events": _listen_in},
    "topology": _OF_ALL | {"knocks": _knock, "tells": _tell, "listens to events": _listen_in},
}
_CASES: Final = [(user, what) for user, deeds in FORBIDDEN.items() for what in deeds]


@pytest.fixture(scope="module")
async def users(stack: Stack) -> AsyncIterator[Users]:
    """A virtual host with its topology, made as a deploy makes it."""
    async with open_users(stack) as users:
        await provide(users["topology"], ["default"], patience=30)
        yield users


def test_every_user_is_tried() -> None:
    """A user that is added to the manifests is refused something here, too."""
    assert set(permissions()) == set(FORBIDDEN)


@pytest.mark.parametrize(("user", "what"), _CASES)
async def test_what_a_user_must_not_do_is_refused(users: Users, user: str, what: str) -> None:
    """A service that is taken over is no way to the others."""
    connection = await aiormq.connect(users[user])
    try:
        channel = await connection.channel(publisher_confirms=True)
        assert isinstance(channel, Channel)
        with pytest.raises(ChannelAccessRefused):
            await FORBIDDEN[user][what](channel)
    finally:
        await connection.close()


async def test_nobody_speaks_in_the_name_of_another(users: Users) -> None:
    """The broker itself vouches for who has sent a message."""
    connection = await aiormq.connect(users["front"])
    try:
        channel = await connection.channel(publisher_confirms=True)
        properties = aiormq.spec.Basic.Properties(user_id="somebody")
        with pytest.raises(ChannelPreconditionFailed):
            await channel.basic_publish(
                b"{}", exchange="jobs", routing_key=QUEUE, properties=properties
            )
    finally:
        await connection.close()


async def test_the_topology_can_be_made_again(users: Users) -> None:
    """Every deploy does it."""
    assert QUEUE in await provide(users["topology"], ["default"], patience=30)


async def test_who_may_not_make_the_topology_is_told_why(users: Users) -> None:
    """A job that fails at night must say more than that it failed."""
    with pytest.raises(NotProvided, match=r"403|ACCESS_REFUSED|access"):
        await provide(users["front"], ["default"], patience=2)
