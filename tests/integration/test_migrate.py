"""Bringing a database to the schema: once, in order, whoever else tries at the same time."""

import asyncio
from pathlib import Path

import asyncpg
import pytest

from shared.store.migrate import MigrationFailed, migrate, migrations, missing

pytestmark = pytest.mark.servers


def a_folder(path: Path, **files: str) -> Path:
    for name, text in files.items():
        (path / f"{name.removeprefix('m')}.sql").write_text(text, encoding="utf-8")
    return path


async def names_in(url: str) -> list[str]:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind = 'r' ORDER BY relname"
        )
        return [row["relname"] for row in rows]
    finally:
        await connection.close()


async def test_migrating_twice_is_harmless(bare_database: str) -> None:
    """Every start of every replica does it."""
    every = [migration.name for migration in migrations()]

    assert await missing(bare_database) == every
    assert await migrate(bare_database) == every
    assert await migrate(bare_database) == []
    assert await missing(bare_database) == []


async def test_two_at_once_run_each_file_once(bare_database: str) -> None:
    """Replicas start together: one works, the others wait for it and find it done."""
    done = await asyncio.gather(*(migrate(bare_database) for _ in range(3)))

    assert sorted(done) == [[], [], [migration.name for migration in migrations()]]


async def test_files_run_in_the_order_of_their_numbers(bare_database: str, tmp_path: Path) -> None:
    """The second may build on the first; a third comes later by itself."""
    folder = a_folder(tmp_path, m0001_a="CREATE TABLE a ()", m0002_b="ALTER TABLE a RENAME TO b")
    assert await migrate(bare_database, folder) == ["0001_a", "0002_b"]

    a_folder(tmp_path, m0003_c="CREATE TABLE c ()")

    assert await missing(bare_database, folder) == ["0003_c"]
    assert await migrate(bare_database, folder) == ["0003_c"]
    assert await names_in(bare_database) == ["b", "c", "migrations"]


async def test_a_file_that_was_edited_after_it_ran_is_refused(
    bare_database: str, tmp_path: Path
) -> None:
    """Else two databases of one version would have two schemas."""
    folder = a_folder(tmp_path, m0001_a="CREATE TABLE a ()")
    await migrate(bare_database, folder)

    a_folder(tmp_path, m0001_a="CREATE TABLE a (x int)", m0002_b="CREATE TABLE b ()")

    with pytest.raises(MigrationFailed, match="0001_a was changed after it had run"):
        await migrate(bare_database, folder)
    with pytest.raises(MigrationFailed, match="0001_a"):
        await missing(bare_database, folder)
    assert "b" not in await names_in(bare_database)


async def test_a_file_that_fails_leaves_nothing_behind(bare_database: str, tmp_path: Path) -> None:
    """Mended, it runs again from its beginning; those before it stay."""
    folder = a_folder(
        tmp_path, m0001_a="CREATE TABLE a ()", m0002_b="CREATE TABLE b (); SELECT 1 / 0"
    )
    with pytest.raises(MigrationFailed, match="0002_b"):
        await migrate(bare_database, folder)
    assert await names_in(bare_database) == ["a", "migrations"]

    a_folder(tmp_path, m0002_b="CREATE TABLE b ()")

    assert await migrate(bare_database, folder) == ["0002_b"]


async def test_a_file_may_ask_to_run_outside_a_transaction(
    bare_database: str, tmp_path: Path
) -> None:
    """An index on a large table is built without locking it."""
    folder = a_folder(
        tmp_path,
        m0001_a="CREATE TABLE a (x int)",
        m0002_i="-- migrate:no-transaction\nCREATE INDEX CONCURRENTLY a_x ON a (x)",
    )

    assert await migrate(bare_database, folder) == ["0001_a", "0002_i"]


async def test_a_migration_gives_way_to_whoever_holds_its_table(
    bare_database: str, tmp_path: Path
) -> None:
    """It must not make all others wait behind it: it steps back, and has its turn later."""
    folder = a_folder(tmp_path, m0001_a="CREATE TABLE a (x int)")
    await migrate(bare_database, folder)
    a_folder(tmp_path, m0002_b="ALTER TABLE a ADD COLUMN y int")
    holder, other = await asyncpg.connect(bare_database), await asyncpg.connect(bare_database)
    try:
        await other.execute("SET lock_timeout = '450ms'")  # a little less than our services'
        async with holder.transaction():
            await holder.execute("INSERT INTO a VALUES (1)")
            migrating = asyncio.create_task(migrate(bare_database, folder))
            for _ in range(20):  # somebody behind it is served all the while
                await other.execute("INSERT INTO a (x) VALUES (2)")
                await asyncio.wait([migrating], timeout=0.1)
            assert not migrating.done()
        assert await migrating == ["0002_b"]
    finally:
        await holder.close()
        await other.close()


async def test_an_index_that_was_torn_is_built_anew(bare_database: str, tmp_path: Path) -> None:
    """A migrator that was killed leaves an index that is kept up and never used."""
    folder = a_folder(tmp_path, m0001_a="CREATE TABLE a (x int)")
    await migrate(bare_database, folder)
    a_folder(
        tmp_path,
        m0002_i="-- migrate:no-transaction\n"
        "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS a_x ON a (x)",
    )
    connection = await asyncpg.connect(bare_database)
    try:
        await connection.execute("INSERT INTO a VALUES (1), (1)")
        with pytest.raises(MigrationFailed, match="0002_i"):
            await migrate(bare_database, folder)
        valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'a_x'::regclass"
        assert await connection.fetchval(valid) is False
        await connection.execute("DELETE FROM a WHERE ctid = '(0,1)'")

        assert await migrate(bare_database, folder) == ["0002_i"]
        assert await connection.fetchval(valid) is True
    finally:
        await connection.close()
