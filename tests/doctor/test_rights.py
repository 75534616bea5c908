"""The doctor knows whether a user of the broker may do its service's work, and takes none of it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Final

import aiormq
import pytest

from deploy.local.stack import Stack
from shared.broker.examine import examine_broker
from shared.broker.provision import provide
from shared.contract.findings import Finding, Health
from tests.rights.users import Users, open_users

pytestmark = pytest.mark.servers

QUEUE: Final = "jobs.default.normal"
MAY: Final = dict.fromkeys(("knock", "tell", "consume", "listen"), "sound")


@pytest.fixture(scope="module")
async def users(stack: Stack) -> AsyncIterator[Users]:
    """A virtual host as a deploy makes it."""
    async with open_users(stack) as found:
        await provide(found["topology"], ["default"])
        yield found


async def rights(url: str, *, declares: bool = False, served: str = "default") -> list[Finding]:
    found = await examine_broker(url, pools=["default"], served=[served], declares=declares)
    return [one for one in found if one.what.startswith("broker: right to ")]


def told(found: list[Finding]) -> dict[str, str]:
    return {one.what.rpartition(" ")[2]: str(one.health) for one in found}


@pytest.mark.parametrize(
    ("name", "spared"), [("front", "right to consume"), ("back", "right to listen")]
)
async def test_each_service_has_what_it_needs_and_is_spared_the_rest(
    users: Users, name: str, spared: str
) -> None:
    """Least rights are no fault: a front that could consume would be one."""
    found = await rights(users[name])

    assert told(found) == MAY
    assert [one.what for one in found if "need not" in one.found] == [f"broker: {spared}"]


@contextmanager
def weakened(
    stack: Stack, users: Users, name: str, *, write: str = "", read: str = ""
) -> Iterator[None]:
    """Let the user *name* write or read only what is said here."""
    user = users[name].partition("://")[2].partition(":")[0]
    ctl, vhost = stack.broker.ctl, users.vhost
    listed = ctl("list_permissions", "-p", vhost, "--no-table-headers", "--quiet")
    (row,) = (line.split("\t") for line in listed.splitlines() if line.startswith(f"{user}\t"))
    ctl("set_permissions", "-p", vhost, user, row[1], write or row[2], read or row[3])
    try:
        yield
    finally:
        ctl("set_permissions", "-p", vhost, user, *row[1:4])


async def test_a_back_that_may_not_consume_is_found(stack: Stack, users: Users) -> None:
    """It would look healthy, and no job would ever run."""
    with weakened(stack, users, "back", read="^jobs\\.other\\..+$"):
        found = await rights(users["back"])

    assert told(found) == MAY | {"consume": "wrong", "listen": "wrong"}
    (consume,) = (one for one in found if one.what.endswith("consume"))
    assert "ACCESS_REFUSED" in consume.found
    assert "read jobs.*" in consume.change


async def test_a_front_that_may_not_listen_is_found(stack: Stack, users: Users) -> None:
    """Its streams would live by looking into the store alone."""
    with weakened(stack, users, "front", read="^$"):
        found = await rights(users["front"])

    assert told(found)["listen"] == "wrong"


async def test_a_user_that_may_not_tell_news_is_found(stack: Stack, users: Users) -> None:
    """Whoever watches a job would hear of it by looking alone; and the test tells nobody."""
    line = await aiormq.connect(users["front"])
    channel = await line.channel()
    await channel.queue_declare("events.test", exclusive=True)
    await channel.queue_bind("events.test", "events", "#")
    with weakened(stack, users, "back", write="^jobs$"):
        found = await rights(users["back"])
    await rights(users["back"])

    assert told(found) == MAY | {"tell": "wrong"}
    heard = await channel.queue_declare("events.test", exclusive=True, passive=True)
    assert heard.message_count == 0
    await line.close()


async def test_one_user_for_everything_must_have_all_of_it(users: Users) -> None:
    """Where services declare for themselves, nobody is spared."""
    assert told(await rights(users["back"], declares=True)) == MAY | {"listen": "wrong"}
    assert told(await rights(users["front"], declares=True)) == MAY | {"consume": "wrong"}


async def test_what_is_not_there_is_not_judged(users: Users) -> None:
    """A right to a queue that nobody has made is not known, and is not called sound."""
    assert told(await rights(users["back"], served="elsewhere"))["consume"] == "unknown"


async def test_a_message_that_waits_is_not_touched(stack: Stack, users: Users) -> None:
    """A delivery would count for it, and fifty of them throw it away."""
    line = await aiormq.connect(users["back"])
    channel = await line.channel()
    await channel.basic_publish(b"{}", exchange="jobs", routing_key=QUEUE)

    for _ in range(3):
        assert told(await rights(users["back"]))["consume"] == str(Health.SOUND)

    taken = await channel.basic_get(QUEUE)
    assert taken.body == b"{}"
    assert not taken.redelivered
    assert (taken.header.properties.headers or {}).get("x-delivery-count", 0) == 0
    await channel.basic_ack(taken.delivery_tag or 0)
    await line.close()
    names = stack.broker.ctl("list_queues", "-p", users.vhost, "name")
    assert "doctor" not in names
