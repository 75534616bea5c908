"""The two cuts that know a protocol, on real servers: what they cut is what they say."""

import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg
import pytest

from shared.broker.publisher import Publisher, Unconfirmed
from tests.broker.scene import Yard, running
from tests.support.amqp_cut import AmqpCut
from tests.support.dice import always, chance, never, the_first
from tests.support.fault_proxy import Manner, open_proxy
from tests.support.postgres_cut import PostgresCut

Way = Callable[[asyncpg.Connection], Awaitable[object]]

_WRITE = "INSERT INTO written VALUES ($1)"
_LOST = (OSError, asyncpg.PostgresConnectionError)


async def by_itself(connection: asyncpg.Connection) -> None:
    await connection.fetch(_WRITE, 1)


async def as_plain_text(connection: asyncpg.Connection) -> None:
    await connection.execute("INSERT INTO written VALUES (1); SELECT 1")


async def in_a_transaction(connection: asyncpg.Connection) -> None:
    async with connection.transaction():
        await connection.fetch(_WRITE, 1)
        await connection.fetch("SELECT 1")


async def many_at_once(connection: asyncpg.Connection) -> None:
    await connection.executemany(_WRITE, [(1,)])


WAYS = pytest.mark.parametrize(
    "write", [by_itself, as_plain_text, in_a_transaction, many_at_once], ids=lambda w: w.__name__
)


@pytest.fixture
async def table(bare_database: str) -> str:
    """The URL of a database with a table `written`, that is empty."""
    connection = await asyncpg.connect(bare_database)
    await connection.execute("CREATE TABLE written (number int UNIQUE)")
    await connection.close()
    return bare_database


@asynccontextmanager
async def cutting(url: str, cut: PostgresCut, *, slices: int = 65_536) -> AsyncIterator[str]:
    async with open_proxy(url, cut.watch) as proxy:
        proxy.up.manner = proxy.down.manner = Manner(slices=slices)
        yield proxy.url


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        connection.terminate()


async def written(url: str) -> list[int]:
    async with connected(url) as connection:
        return [row["number"] for row in await connection.fetch("TABLE written")]


@pytest.mark.servers
@WAYS
@pytest.mark.parametrize("slices", [1, 65_536])
async def test_a_commit_whose_answer_was_cut_is_in_the_database(
    table: str, write: Way, slices: int
) -> None:
    """The client cannot know; the truth is that it happened."""
    cut = PostgresCut(reply=always, carrying="INTO written")
    async with cutting(table, cut, slices=slices) as url, connected(url) as connection:
        with pytest.raises(_LOST):
            await write(connection)

    assert await written(table) == [1]
    assert (cut.commits, cut.killed, cut.swallowed) == (1, 0, 1)


@pytest.mark.servers
@WAYS
@pytest.mark.parametrize("slices", [1, 65_536])
async def test_a_commit_that_was_killed_before_is_not_in_the_database(
    table: str, write: Way, slices: int
) -> None:
    """The client sees the same as if the answer had been cut."""
    cut = PostgresCut(before=always, carrying="INTO written")
    async with cutting(table, cut, slices=slices) as url, connected(url) as connection:
        with pytest.raises(_LOST):
            await write(connection)

    assert await written(table) == []
    assert (cut.commits, cut.killed, cut.swallowed) == (1, 1, 0)


@pytest.mark.servers
async def test_only_commits_that_carry_the_words_are_cut(table: str) -> None:
    """A test may cut submits, and leave what the service asks beside them."""
    cut = PostgresCut(before=always, reply=always, carrying="INSERT INTO jobs (")
    async with cutting(table, cut) as url, connected(url) as connection:
        for write in (by_itself, in_a_transaction):
            await write(connection)
            await connection.execute("DELETE FROM written")

    assert (cut.commits, cut.bitten) == (0, 0)


@pytest.mark.servers
async def test_what_does_not_commit_is_not_cut(table: str) -> None:
    """Neither a refusal, nor a rollback, nor a COMMIT of what has failed, nor the way there."""
    cut = PostgresCut(reply=always, carrying="INTO written")
    async with cutting(table, cut) as url, connected(url) as connection:
        await connection.prepare(_WRITE)
        transaction = connection.transaction()
        await transaction.start()
        await connection.fetch(_WRITE, 1)
        await transaction.rollback()
        with pytest.raises(asyncpg.PostgresError):
            await connection.execute("INSERT INTO written VALUES (1), (1)")
        await connection.execute("BEGIN")
        with pytest.raises(asyncpg.PostgresError):
            await connection.execute("INSERT INTO written VALUES (1), (1)")
        assert await connection.execute("COMMIT") == "ROLLBACK"

        assert cut.bitten == 0
        with pytest.raises(_LOST):
            await by_itself(connection)

    assert await written(table) == [1]
    assert cut.swallowed == 1


@pytest.mark.servers
async def test_the_dice_choose_and_the_counters_tell(table: str) -> None:
    """Cuts are counted where they bit; the line after them is like any other."""
    cut = PostgresCut(before=the_first(1), reply=the_first(1), carrying="INTO written")
    async with cutting(table, cut) as url:
        for number in range(4):
            async with connected(url) as connection:
                try:
                    await connection.fetch(_WRITE, number)
                except _LOST:
                    assert number < 2

    assert await written(table) == [1, 2, 3]
    assert (cut.commits, cut.killed, cut.swallowed) == (4, 1, 1)


@pytest.mark.servers
async def test_a_swallowed_ack_leaves_the_publisher_in_doubt(yard: Yard) -> None:
    """The broker has the knock: it is only the publisher who does not know."""
    cut = AmqpCut(the_first(1))
    async with (
        open_proxy(yard.url, cut.watch) as proxy,
        running(Publisher(proxy.url, name="front", pools=[yard.pool])) as publisher,
    ):
        with pytest.raises(Unconfirmed, match="no confirm in time"):
            await publisher.knock(yard.route, b"doubt", message_id="1", patience=0.5)
        await publisher.knock(yard.route, b"sure", message_id="2")

    assert await yard.bodies() == [b"doubt", b"sure"]
    assert (cut.acks, cut.swallowed) == (2, 1)


@pytest.mark.servers
async def test_spared_acks_are_passed_on(yard: Yard) -> None:
    """Also such as the broker gives for many at once."""
    cut = AmqpCut(never)
    async with open_proxy(yard.url, cut.watch) as proxy:
        proxy.down.manner = Manner(slices=7)
        async with running(Publisher(proxy.url, name="front", pools=[yard.pool])) as publisher:
            for number in range(20):
                await publisher.knock(yard.route, b"{}", message_id=f"{number}")

    assert (cut.acks, cut.swallowed) == (20, 0)


def frame(channel: int, body: bytes) -> bytes:
    return struct.pack("!BHI", 1, channel, len(body)) + body + b"\xce"


def an_ack(tag: int, *, multiple: bool = False, channel: int = 1) -> bytes:
    return frame(channel, struct.pack("!HHQB", 60, 80, tag, multiple))


def test_an_ack_of_many_does_not_tell_of_those_that_were_swallowed() -> None:
    """It says "all up to this one": as it is, it would undo the cut."""
    cut = AmqpCut(the_first(1))
    [line] = [cut.watch(None)]  # type: ignore[arg-type]  # it asks nothing of the line

    assert line.down(an_ack(1)) == b""
    assert line.down(an_ack(3)) == an_ack(3)
    assert line.down(an_ack(4, multiple=True)) == an_ack(2) + an_ack(4)
    assert line.down(an_ack(5, multiple=True)) == an_ack(5)
    assert line.down(an_ack(1, channel=2)) == an_ack(1, channel=2)
    opened_again = frame(1, struct.pack("!HHI", 20, 11, 0))
    assert line.down(opened_again + an_ack(2, multiple=True)) == opened_again + an_ack(1) + an_ack(
        2
    )
    assert (cut.acks, cut.swallowed) == (8, 1)


def test_only_acks_are_swallowed_however_the_bytes_come() -> None:
    """A frame may come in pieces, and a body may look like an ack."""
    cut = AmqpCut(always)
    line = cut.watch(None)  # type: ignore[arg-type]  # it asks nothing of the line
    nack = frame(1, struct.pack("!HHQB", 60, 120, 1, 0))
    body = b"\x03" + an_ack(7)[1:]
    stream = nack + an_ack(2) + body + an_ack(3)

    passed = b"".join(line.down(bytes((byte,))) for byte in stream)

    assert passed == nack + body
    assert (cut.acks, cut.swallowed) == (2, 2)


def test_dice_keep_to_their_seed_and_their_share() -> None:
    """A fault that is repeated is the same fault."""
    first, again, other = (chance(0.2, seed=seed) for seed in (1, 1, 2))
    rolls = [first() for _ in range(1_000)]

    assert rolls == [again() for _ in range(1_000)]
    assert rolls != [other() for _ in range(1_000)]
    assert 150 < sum(rolls) < 250
