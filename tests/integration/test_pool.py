"""Connections: every wait has an end, and trouble has one name."""

import asyncio
from typing import Any, Final

import pytest
from structlog.testing import capture_logs

from shared.contract.errors import Unavailable
from shared.contract.ids import JobId
from shared.store.pool import Busy, Locked, Pool, Rejected, TooLong, open_pool
from shared.store.session import SessionCheck
from tests.integration.bench import Bench
from tests.support.house import free_port
from tests.support.waiting import until

pytestmark = pytest.mark.servers

LIMITS: Final = {
    "statement_timeout": "5s",
    "lock_timeout": "500ms",
    "idle_in_transaction_session_timeout": "3s",
    "tcp_user_timeout": "10000",  # it is shown as the socket has it
}


async def ask_late(pool: Pool) -> None:
    """Have a connection cut while the library waits: then it goes on with what is gone."""
    async with pool.connection() as connection:
        line: Any = connection._con  # type: ignore[attr-defined]

        async def is_cut() -> bool:
            return bool(line.is_closed())

        await until(is_cut, within=10, what="the connection is cut")
        line._protocol.get_settings()


async def misspell(pool: Pool) -> None:
    async with pool.connection() as connection:
        connection.no_such_thing()  # type: ignore[attr-defined]


async def test_every_connection_has_its_limits(bench: Bench) -> None:
    """PostgreSQL has none of them by default: one forgotten client would stop a key for ever."""

    async def limits_of_one() -> dict[str, str]:
        async with bench.pool.connection() as connection:
            await together.wait()
            return {name: await connection.fetchval(f"SHOW {name}") for name in LIMITS}

    together = asyncio.Barrier(8)

    assert await asyncio.gather(*(limits_of_one() for _ in range(8))) == [LIMITS] * 8


async def test_a_session_is_read_back_as_it_is(bench: Bench) -> None:
    """Every limit is in force; that commits do not wait here is seen, and how many may come."""
    check = SessionCheck(bench.pool, most_sessions=8)
    with capture_logs() as said:
        assert await check.look()
        assert await SessionCheck(bench.pool, most_sessions=10_000).look()

    grave = {line["setting"] for line in said if line["log_level"] == "error"}
    others = [line["setting"] for line in said if line["log_level"] != "error"]
    assert "synchronous_commit" in grave  # see the fixture of this database
    assert grave <= {"fsync", "full_page_writes", "synchronous_commit"}
    assert others == ["max_connections"]


async def test_a_connection_is_given_back_whatever_happens(bench: Bench) -> None:
    """M13: pools have been known to leak a slot when their borrower is cancelled."""

    async def hold() -> None:
        await bench.sql("SELECT pg_sleep(30)")

    async def none_is_free() -> bool:
        return bench.pool.free == 0

    tasks = [asyncio.create_task(hold()) for _ in range(8)]
    await until(none_is_free, within=5, what="all connections are lent")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    with pytest.raises(Rejected, match="division by zero"):
        await bench.sql("SELECT 1 / 0")

    assert bench.pool.free == 8


async def test_whoever_finds_no_free_connection_is_told_so_in_time(database: str) -> None:
    """A caller gets its 503 while it still waits for an answer."""
    async with open_pool(database, size=1, name="test") as pool, pool.connection():
        async with asyncio.timeout(3):
            with pytest.raises(Unavailable):
                await pool.fetch("SELECT 1")


async def test_a_database_that_is_not_there_is_unavailable() -> None:
    """And a service starts all the same: it answers as soon as the database does."""
    with free_port() as port:
        url = f"postgresql://nobody@127.0.0.1:{port}/nothing"
        async with open_pool(url, size=2, name="test") as pool, asyncio.timeout(3):
            with pytest.raises(Unavailable):
                await pool.fetch("SELECT 1")


async def test_a_database_that_takes_no_writes_for_now_refuses_nothing_for_good(
    bench: Bench,
) -> None:
    """A verdict taken for refused would fail a job that had succeeded."""
    job = await bench.running()

    async def write_what_may_only_be_read() -> None:
        async with bench.pool.transaction() as connection:
            await connection.execute("SET TRANSACTION READ ONLY")
            await connection.execute("UPDATE jobs SET progress = 1 WHERE id = $1", job.id)

    with pytest.raises(Unavailable):
        await write_what_may_only_be_read()


@pytest.mark.parametrize("who", ["nobody@{}/postgres", "uketsuke@{}/nowhere"])
async def test_a_database_that_does_not_know_us_for_now_is_unavailable(
    server_url: str, who: str
) -> None:
    """Its password may just be changing, or its backup just coming back."""
    address = server_url.rpartition("@")[2].partition("/")[0]
    async with open_pool(f"postgres://{who.format(address)}", size=1, name="test") as pool:
        with pytest.raises(Unavailable):
            await pool.fetch("SELECT 1")


async def test_a_connection_that_the_server_ends_is_unavailable_and_replaced(
    bench: Bench, server_url: str
) -> None:
    """F12: a restart of the database is over with the next question after it."""
    with pytest.raises(Unavailable):
        await bench.sql("SELECT pg_terminate_backend(pg_backend_pid())")

    assert await bench.pool.fetchval("SELECT 1") == 1


async def test_a_statement_that_takes_too_long_is_ended_by_the_server(database: str) -> None:
    """Its locks go with it."""
    async with open_pool(database, size=1, name="test") as pool:
        await pool.fetch("SET statement_timeout = '50ms'")

        with pytest.raises(Unavailable):
            await pool.fetch("SELECT pg_sleep(30)")

        assert await pool.fetchval("SELECT 1") == 1


async def test_a_borrower_who_comes_to_ask_too_late_is_told_so(database: str) -> None:
    """A process that was paused awakes with its time over: the line is cut before it asks."""
    async with open_pool(database, size=1, name="test", patience=0.2) as pool:
        with pytest.raises(Unavailable):
            await ask_late(pool)

        assert await pool.fetchval("SELECT 1") == 1


async def test_a_mistake_of_the_borrower_is_no_trouble_of_the_database(bench: Bench) -> None:
    """Else a bug would be tried again and again."""
    with pytest.raises(AttributeError):
        await misspell(bench.pool)


async def test_a_search_that_takes_too_long_costs_nobody_a_connection(database: str) -> None:
    """The server ends it: had we cut the line, whoever comes next would doubt the server."""
    async with open_pool(database, size=1, name="test", patience=5) as pool:
        session = await pool.fetchval("SELECT pg_backend_pid()")

        with pytest.raises(TooLong):
            async with pool.search(seconds=0.05) as connection:
                await connection.execute("SELECT pg_sleep(30)")

        assert await pool.fetchval("SELECT pg_backend_pid()") == session
        assert await pool.fetchval("SHOW statement_timeout") == "5s"
        assert await pool.fetchval("SHOW plan_cache_mode") == "force_generic_plan"


async def test_a_search_changes_nothing(bench: Bench) -> None:
    """It is a reader's: what it is given to say comes from a stranger."""
    job_id = await bench.submit()

    with pytest.raises(Unavailable):
        async with bench.pool.search(seconds=1) as connection:
            await connection.execute("UPDATE jobs SET progress = 1 WHERE id = $1", job_id)

    assert (await bench.view(job_id)).progress == 0


async def test_a_transaction_is_read_committed(bench: Bench) -> None:
    """A statement after a lock must see what the one that held it has done."""
    async with bench.pool.transaction() as connection:
        assert await connection.fetchval("SHOW transaction_isolation") == "read committed"


async def test_what_somebody_else_is_at_is_locked(bench: Bench) -> None:
    """To ask again may help, so it is told apart from what is refused for good."""
    await bench.submit()
    async with bench.pool.transaction() as holder:
        await holder.execute("LOCK TABLE jobs")

        with pytest.raises(Locked):
            await bench.sql("SELECT FROM jobs")

    await bench.sql("SELECT FROM jobs")


async def test_a_deadlock_is_busy(bench: Bench) -> None:
    """One of the two is sent back, with nothing done."""
    ids = sorted([await bench.submit(), await bench.submit()])
    together = asyncio.Barrier(2)
    touch = "UPDATE jobs SET message = 'x' WHERE id = $1"

    async def both(first: JobId, second: JobId) -> str:
        try:
            async with bench.pool.transaction() as connection:
                await connection.execute("SET LOCAL lock_timeout = '10s'")
                await connection.execute(touch, first)
                await together.wait()
                await connection.execute(touch, second)
        except Busy:
            return "busy"
        return "done"

    assert sorted(await asyncio.gather(both(*ids), both(*reversed(ids)))) == ["busy", "done"]
