"""Each role of the database may do what its service asks, and nothing that it never asks."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Final

import asyncpg
import pytest
from typer.testing import CliRunner

from shared.store.migrate import GRANTS
from shared.store.sql import statement
from tests.house.sources import imports, sources
from tests.house.statements import asked_by
from tests.rights.databases import SERVICES, as_role, open_database, run
from uketsuke.cli import build

pytestmark = pytest.mark.servers

KEPT_FOR_THE_VERSION_BEFORE: Final[set[tuple[str, str, str, str | None]]] = set()
"""Rights (role, table, verb, column) whose last statement has just gone: while services are rolled
the version before still asks it. The next release takes them away."""

_RIGHTS: Final = """
SELECT table_name AS held, privilege_type AS verb, NULL AS part
  FROM information_schema.role_table_grants WHERE grantee = $1 AND table_schema = 'public'
 UNION ALL
SELECT c.table_name, c.privilege_type, c.column_name FROM information_schema.column_privileges c
 WHERE c.grantee = $1 AND c.table_schema = 'public' AND NOT EXISTS (
       SELECT FROM information_schema.role_table_grants t
        WHERE (t.grantee, t.table_name, t.privilege_type)
            = (c.grantee, c.table_name, c.privilege_type))
"""


def asked(service: str) -> set[str]:
    """Name the statements that *service* may ask: of the store's modules that it can reach."""
    store = {source.module: source for source in sources("shared/store")}
    reached: set[str] = set()
    todo = {name for source in sources(service) for name in _modules(imports(source), store)}
    while todo:
        module = todo.pop()
        reached.add(module)
        todo |= _modules(imports(store[module]), store) - reached
    return {name for m in reached for name, _ in asked_by(store[m]) if name is not None}


def _modules(names: Iterator[str], store: Mapping[str, object]) -> set[str]:
    return {m for name in names for m in (name, name.rpartition(".")[0]) if m in store}


@pytest.fixture(scope="module")
async def place() -> AsyncIterator[str]:
    async with open_database() as url:
        yield url


async def refused(connection: Any, names: set[str]) -> set[str]:
    """Name those of the statements that the role of *connection* may not run; none is run."""
    found = set()
    for name in sorted(names):
        try:
            await ask(connection, name)
        except asyncpg.InsufficientPrivilegeError:
            found.add(name)
    return found


async def ask(connection: Any, name: str) -> None:
    """Have the statement explained, with nothing for its arguments: that asks for the rights."""
    await connection.execute("DEALLOCATE ALL")
    await connection.execute(f"PREPARE asked AS {statement(name)}")
    many = await connection.fetchval(
        "SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = 'asked'"
    )
    arguments = f"({', '.join(['NULL'] * many)})" if many else ""
    await connection.execute(f"EXPLAIN EXECUTE asked {arguments}")


@pytest.mark.parametrize("role", SERVICES)
async def test_a_service_may_ask_all_that_it_asks(place: str, role: str) -> None:
    """A right that is missing would show in production, at the first rare move."""
    connection = await asyncpg.connect(as_role(place, role), statement_cache_size=0)
    try:
        assert await refused(connection, asked(SERVICES[role])) == set()
    finally:
        await connection.close()
    assert len(asked(SERVICES[role])) > 15


@pytest.mark.parametrize("role", SERVICES)
async def test_a_service_has_no_right_that_it_never_uses(place: str, role: str) -> None:
    """Whatever is taken away, some statement must miss it; else it only serves an intruder."""
    owner = await asyncpg.connect(place, statement_cache_size=0)
    names = asked(SERVICES[role])
    idle: set[tuple[str, str, str, str | None]] = set()
    try:
        for held, verb, part in await owner.fetch(_RIGHTS, role):
            if held == "migrations":  # it waits for the schema
                continue
            async with _undone(owner):
                columns = f"({part})" if part else ""
                await owner.execute(f"REVOKE {verb} {columns} ON {held} FROM {role}")
                await owner.execute(f"SET LOCAL ROLE {role}")
                if not await _misses_it(owner, names):
                    idle.add((role, held, verb, part))
    finally:
        await owner.close()
    assert idle == {kept for kept in KEPT_FOR_THE_VERSION_BEFORE if kept[0] == role}


class _undone:  # noqa: N801  reads as a word of the sentence
    def __init__(self, connection: Any) -> None:
        self._transaction = connection.transaction()

    async def __aenter__(self) -> None:
        await self._transaction.start()

    async def __aexit__(self, *_: object) -> None:
        await self._transaction.rollback()


async def _misses_it(connection: Any, names: set[str]) -> bool:
    for name in sorted(names):
        try:
            async with connection.transaction():
                await ask(connection, name)
        except asyncpg.InsufficientPrivilegeError:
            return True
    return False


FORBIDDEN: Final = [
    ("uketsuke_front", "UPDATE job_events SET kind = 'completed'"),
    ("uketsuke_front", "UPDATE jobs SET request = ''"),
    ("uketsuke_front", "UPDATE jobs SET result = ''"),
    ("uketsuke_front", "UPDATE jobs SET tenant = gen_random_uuid()"),
    ("uketsuke_front", "INSERT INTO effects VALUES (gen_random_uuid(), '', 1)"),
    ("uketsuke_front", "DELETE FROM tombstones"),
    ("uketsuke_back", "INSERT INTO jobs DEFAULT VALUES"),
    ("uketsuke_back", "UPDATE jobs SET request = ''"),
    ("uketsuke_back", "UPDATE jobs SET tenant = gen_random_uuid()"),
    ("uketsuke_back", "UPDATE job_events SET kind = 'completed'"),
    ("uketsuke_back", "UPDATE effects SET token = 0"),
    ("uketsuke_back", "INSERT INTO idempotency_keys DEFAULT VALUES"),
    ("uketsuke_scaler", "SELECT request FROM jobs"),
    ("uketsuke_scaler", "SELECT tenant FROM jobs"),
    ("uketsuke_scaler", "UPDATE jobs SET state = 'queued'"),
    ("uketsuke_scaler", "SELECT FROM job_events"),
    *(
        (role, script)
        for role in ("uketsuke_front", "uketsuke_back", "uketsuke_scaler")
        for script in (
            "TRUNCATE jobs",
            "DROP TABLE outbox",
            "ALTER TABLE jobs DISABLE TRIGGER ALL",
            "DROP INDEX one_ending",
            "CREATE TABLE mine ()",
            "CREATE SCHEMA mine",
            "INSERT INTO migrations VALUES ('x', 'x')",
            "SET ROLE uketsuke_owner",
            "COPY jobs TO PROGRAM 'true'",
            "SELECT pg_read_file('/etc/passwd')",
        )
    ),
]


@pytest.mark.parametrize(("role", "script"), FORBIDDEN)
async def test_what_is_forbidden_is_refused(place: str, role: str, script: str) -> None:
    """A service that is taken over can do what it does, and not one thing more."""
    connection = await asyncpg.connect(as_role(place, role))
    try:
        await connection.execute("SET default_transaction_read_only = off")  # as anybody could
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(script)
    finally:
        await connection.close()


async def test_the_owner_logs_in_nowhere_and_owns_every_table(place: str) -> None:
    """Whoever owns a table passes every grant, so nobody may be it for long."""
    connection = await asyncpg.connect(place)
    try:
        owners = await connection.fetch(
            "SELECT DISTINCT tableowner AS name FROM pg_tables WHERE schemaname = 'public'"
        )
        can_login = await connection.fetchval(
            "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'uketsuke_owner'"
        )
    finally:
        await connection.close()
    assert [row["name"] for row in owners] == ["uketsuke_owner"]
    assert can_login is False


async def test_a_stranger_finds_the_door_shut(place: str) -> None:
    """A role of another database on the same server is none of ours."""
    connection = await asyncpg.connect(place)
    try:
        may_connect = await connection.fetchval(
            "SELECT has_database_privilege('pg_monitor', current_database(), 'CONNECT')"
        )
        may_create = await connection.fetchval(
            "SELECT has_schema_privilege('pg_monitor', 'public', 'CREATE, USAGE')"
        )
    finally:
        await connection.close()
    assert (may_connect, may_create) == (False, False)


async def test_grants_can_be_run_again_at_any_time(place: str) -> None:
    """Every migration runs them, whether anything has changed or not."""
    await run(as_role(place, "uketsuke_migrator"), GRANTS.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("role", "code"), [("uketsuke_migrator", 0), ("uketsuke_front", 2), ("uketsuke_back", 2)]
)
async def test_the_schemas_owner_makes_keys_and_no_service_does(
    place: str, role: str, code: int
) -> None:
    """Whoever takes a service over cannot make himself at home."""
    env = {"UKETSUKE_DATABASE_URL": as_role(place, role)}
    words = ["keys", "create", "--tenant", "acme"]

    found = await asyncio.to_thread(CliRunner().invoke, build(), words, env=env)

    assert found.exit_code == code, found.output
    assert found.stdout.startswith("uketsuke_") is (code == 0)
