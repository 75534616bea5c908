"""Connections to PostgreSQL: every wait has an end, and trouble has one name.

Whatever keeps the database from answering becomes ``Unavailable``, and ``Busy`` if that is
somebody else at the same rows; what it refuses for good (a constraint, a value) ``Rejected``.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from shared.contract.errors import Unavailable

Connection = PoolConnectionProxy

_ACQUIRE: Final = 1.0  # seconds
_PATIENCE: Final = 6.0  # seconds: the server's own limit is shorter, this is for one that is frozen
LIMITS: Final = {
    "statement_timeout": "5s",
    "lock_timeout": "500ms",  # leaves a caller of the front time to be served without it
    "idle_in_transaction_session_timeout": "3s",  # a frozen worker holds its jobs
    "tcp_user_timeout": "10s",  # else the locks of a machine that vanished outlive it by minutes
    "jit": "off",  # it plans for long scans, we do short look-ups
    # Planning one of our statements costs more than running it, so each is planned once; and as
    # that may be while a table is empty, a plan that reads it whole is out of the question.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
}
_AWAY: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,  # of a primary that was replaced, or whose disk is full
    asyncpg.InvalidAuthorizationSpecificationError,  # a password that is just being changed
    asyncpg.InvalidCatalogNameError,  # a database that is just being restored
)


class Rejected(Exception):
    """The database does not take this, however often it is asked; the verb judges why."""


class Busy(Unavailable):
    """Somebody else is changing the same rows: nothing was done, and to ask again may help."""


class Locked(Busy):
    """They have been at it for longer than we wait for a lock."""


class TooLong(Unavailable):
    """The database ended what took longer than its limit; it is well, and so is the connection."""


class Pool:
    """Hands out connections that have our limits, each for *patience* seconds at the most."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", *, patience: float) -> None:
        self._pool, self._patience = pool, patience
        self._is_mute = False  # it took a question and did not answer

    @asynccontextmanager
    async def connection(self) -> AsyncIterator["Connection[asyncpg.Record]"]:
        """Lend a connection; raise ``Unavailable`` when there is none or it breaks meanwhile.

        Whatever the database says to its borrower is translated as well.

        One that keeps its borrower waiting too long is cut off. Nothing gentler is bounded: a
        cancel, a rollback and a reset would all be further questions to a server that is mute.
        After that none is lent before the server has answered a question that changes nothing:
        whatever it took meanwhile it would do some day, when nobody waits for it any more.
        """
        async with self._lent(self._patience) as connection:
            yield connection

    @asynccontextmanager
    async def _lent(self, patience: float) -> AsyncIterator["Connection[asyncpg.Record]"]:
        loop = asyncio.get_running_loop()
        until = loop.time() + patience
        try:
            async with self._pool.acquire(timeout=_ACQUIRE) as connection:
                cut = loop.call_at(until, self._cut, connection)
                try:
                    if self._is_mute:
                        await connection.execute("SELECT")
                        self._is_mute = False
                    yield connection
                finally:
                    cut.cancel()
        except asyncpg.LockNotAvailableError as error:
            raise Locked("Somebody else is changing this", retry_after=1) from error
        except (asyncpg.SerializationError, asyncpg.DeadlockDetectedError) as error:
            raise Busy("Somebody else is changing this", retry_after=1) from error
        except asyncpg.QueryCanceledError as error:
            raise TooLong("The database took too long over this", retry_after=1) from error
        except _AWAY as error:
            raise Unavailable("The database does not answer", retry_after=1) from error
        except AttributeError as error:  # all that the library says of one that was cut before
            if loop.time() < until:
                raise
            raise Unavailable("The database was not asked in time", retry_after=1) from error
        except asyncpg.PostgresError as error:
            raise Rejected(str(error)) from error

    def _cut(self, connection: "Connection[asyncpg.Record]") -> None:
        self._is_mute = True
        connection.terminate()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["Connection[asyncpg.Record]"]:
        """Lend a connection inside one READ COMMITTED transaction."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def search(self, *, seconds: float) -> AsyncIterator["Connection[asyncpg.Record]"]:
        """Lend a connection for looks whose best way depends on what is looked for.

        Each is planned for its own values, and may only read. One of more than *seconds* is ended
        by the server and raises ``TooLong``, long before we would take the server for mute.
        """
        patience = _ACQUIRE + self._patience + seconds
        async with (
            self._lent(patience) as connection,
            connection.transaction(readonly=True),
        ):
            await connection.execute(
                "SET LOCAL plan_cache_mode = force_custom_plan;"
                f"SET LOCAL statement_timeout = {max(1, round(seconds * 1_000))}"
            )
            yield connection

    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        async with self.connection() as connection:
            return await connection.fetch(query, *args)

    async def fetchrow(self, query: str, *args: Any) -> asyncpg.Record | None:
        async with self.connection() as connection:
            return await connection.fetchrow(query, *args)

    async def fetchval(self, query: str, *args: Any) -> Any:
        async with self.connection() as connection:
            return await connection.fetchval(query, *args)

    @property
    def free(self) -> int:
        """Connections that nobody uses right now, or that could still be opened."""
        return self._pool.get_max_size() - self._pool.get_size() + self._pool.get_idle_size()


async def _keep_session(_: Any) -> None:
    """Skip the library's reset: no statement of ours changes the session, and it costs a trip."""


@asynccontextmanager
async def open_pool(
    url: str, *, size: int, name: str, is_durable: bool = True, patience: float = _PATIENCE
) -> AsyncIterator[Pool]:
    """Open a pool that connects when it is first asked, so that a start needs no database.

    With *is_durable* false a commit does not wait for the disk: a crash of the database may take
    the last half second back. Only for what is harmless to forget.
    """
    pool = await asyncpg.create_pool(
        url,
        min_size=0,
        max_size=size,
        timeout=5,
        reset=_keep_session,
        server_settings=LIMITS
        | {"application_name": name}
        | ({} if is_durable else {"synchronous_commit": "off"}),
    )
    try:
        yield Pool(pool, patience=patience)
    finally:
        try:
            async with asyncio.timeout(5):
                await pool.close()
        except TimeoutError:
            pool.terminate()
