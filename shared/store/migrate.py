"""Bring a database to the schema this code needs: ``python -m shared.store.migrate``.

Each file of ``migrations/`` runs once, in the order of its number. A file that was changed
after it ran is an error. Several replicas may start this at once: one works, the others wait.

The services go on meanwhile, those of the version before as well. A statement that waits for a
lock makes everybody behind it wait, so none waits for long: it gives way and tries again.

Where the roles of ``deploy/database/roles.sql`` exist, ``grants.sql`` is run after it each time.
With ``--wait`` nothing is changed: it ends when nothing is missing any more.
"""

import asyncio
import hashlib
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg

from shared.runtime.settings import BadSettings, DatabaseAddress, read_settings

FOLDER: Final = Path(__file__).parent / "migrations"
GRANTS: Final = FOLDER.with_name("grants.sql")
_LOCK: Final = 0x756B6574  # any number that is ours: "uket"
_LOOK_EVERY: Final = 1.0  # seconds
_PATIENCE: Final = 120.0  # seconds that one replica waits for another
_NO_TRANSACTION: Final = "-- migrate:no-transaction"
_LOCK_WAIT: Final = "200ms"  # well under what the services wait for a lock
_PAUSE: Final = 0.5  # seconds in which whoever waited behind us comes to his turn
_INDEX: Final = re.compile(r"CREATE (?:UNIQUE )?INDEX CONCURRENTLY IF NOT EXISTS (\w+)")
_IS_TORN: Final = (
    "SELECT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass($1) AND NOT indisvalid)"
)
_NOTE: Final = "INSERT INTO migrations (name, sha256) VALUES ($1, $2)"
_LEDGER: Final = """
CREATE TABLE IF NOT EXISTS migrations (
    name text PRIMARY KEY, sha256 text NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp())
"""


class MigrationFailed(Exception):
    """The schema is not what this code needs; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    name: str
    text: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def migrations(folder: Path = FOLDER) -> list[Migration]:
    files = sorted(folder.glob("[0-9]*.sql"))
    return [Migration(name=file.stem, text=file.read_text(encoding="utf-8")) for file in files]


async def migrate(url: str, folder: Path = FOLDER) -> list[str]:
    """Run what is missing and name it; raise ``MigrationFailed`` if that cannot be."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        await _lock(connection)  # ends with the session
        await connection.execute(_LEDGER)
        ran = await _ledger(connection)
        todo = [m for m in migrations(folder) if _is_missing(m, ran)]
        for migration in todo:
            await _run(connection, migration)
        if grants := _grants_of(folder):
            await connection.execute(grants)
        return [migration.name for migration in todo]
    finally:
        await connection.close()


async def missing(url: str, folder: Path = FOLDER) -> list[str]:
    """Name the migrations that the database at *url* still lacks."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        if await connection.fetchval("SELECT to_regclass('migrations')") is None:
            return [m.name for m in migrations(folder)]
        ran = await _ledger(connection)
        return [m.name for m in migrations(folder) if _is_missing(m, ran)]
    finally:
        await connection.close()


async def wait(url: str, folder: Path = FOLDER) -> None:
    """Return when the database at *url* lacks nothing; as long as it does not answer, wait too."""
    while True:
        try:
            if not await missing(url, folder):
                return
        except (OSError, TimeoutError, asyncpg.PostgresError) as error:
            print(f"waiting: {error!r}", file=sys.stderr)  # noqa: T201  a command
        await asyncio.sleep(_LOOK_EVERY)


async def _lock(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Poll for the lock: a session that waits inside PostgreSQL would hold a snapshot."""
    async with asyncio.timeout(_PATIENCE):
        while not await connection.fetchval(  # noqa: ASYNC110  another process holds it
            "SELECT pg_try_advisory_lock($1)", _LOCK
        ):
            await asyncio.sleep(0.2)


def _grants_of(folder: Path) -> str:
    """Read what lies beside *folder*: it speaks of the tables that its migrations make."""
    file = folder.with_name(GRANTS.name)
    return file.read_text(encoding="utf-8") if file.exists() else ""


async def _ledger(connection: "asyncpg.Connection[asyncpg.Record]") -> dict[str, str]:
    rows = await connection.fetch("SELECT name, sha256 FROM migrations")
    return {row["name"]: row["sha256"] for row in rows}


def _is_missing(migration: Migration, ran: dict[str, str]) -> bool:
    known = ran.get(migration.name)
    if known is not None and known != migration.sha256:
        raise MigrationFailed(f"{migration.name} was changed after it had run")
    return known is None


async def _run(connection: "asyncpg.Connection[asyncpg.Record]", migration: Migration) -> None:
    alone = migration.text.startswith(_NO_TRANSACTION)
    try:
        await (_run_alone if alone else _run_whole)(connection, migration)
    except (asyncpg.PostgresError, TimeoutError) as error:
        raise MigrationFailed(f"{migration.name}: {error or 'no lock in time'}") from error


async def _run_whole(
    connection: "asyncpg.Connection[asyncpg.Record]", migration: Migration
) -> None:
    """Run it in a transaction with its note, again and again until its locks are to be had."""
    await connection.execute(f"SET lock_timeout = '{_LOCK_WAIT}'")
    async with asyncio.timeout(_PATIENCE):
        while True:
            try:
                async with connection.transaction():
                    await connection.execute(migration.text)
                    await connection.execute(_NOTE, migration.name, migration.sha256)
            except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
                await asyncio.sleep(_PAUSE)
            else:
                return


async def _run_alone(
    connection: "asyncpg.Connection[asyncpg.Record]", migration: Migration
) -> None:
    """Run its one statement, which blocks nobody and may take long; a torn index is built anew."""
    await connection.execute("SET lock_timeout = 0")
    for index in _INDEX.findall(migration.text):
        if await connection.fetchval(_IS_TORN, index):
            await connection.execute(f"DROP INDEX CONCURRENTLY {index}")
    await connection.execute(migration.text)
    await connection.execute(_NOTE, migration.name, migration.sha256)


def main(words: Sequence[str]) -> int:
    try:
        url = read_settings(DatabaseAddress).database_url.get_secret_value()
    except BadSettings as error:
        print(error, file=sys.stderr)  # noqa: T201  a command
        return 2
    try:
        if "--wait" in words:
            asyncio.run(wait(url))
            return 0
        done = asyncio.run(migrate(url))
    except (MigrationFailed, OSError, asyncpg.PostgresError, TimeoutError) as error:
        print(f"migration failed: {error}", file=sys.stderr)  # noqa: T201  a command
        return 1
    print("schema is up to date" if not done else f"ran {', '.join(done)}")  # noqa: T201  a command
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
