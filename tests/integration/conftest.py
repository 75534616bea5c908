"""A database of this worker's own; each test finds it empty, and leaves no session behind."""

import secrets
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from shared.store.migrate import migrate
from tests.integration.bench import Bench, open_bench
from tests.support.needs import need_setting

EMPTY: Final = """
DELETE FROM blob_uses; DELETE FROM blobs; DELETE FROM tombstones; DELETE FROM effects;
DELETE FROM idempotency_keys; DELETE FROM outbox; DELETE FROM job_events; DELETE FROM jobs;
DELETE FROM key_heads; DELETE FROM unique_keys; DELETE FROM batch_jobs; DELETE FROM batches;
DELETE FROM workers; DELETE FROM api_keys; DELETE FROM rate_marks; DELETE FROM open_streams;
DELETE FROM tenants WHERE name <> 'default';
"""


@pytest.fixture(scope="session")
def server_url() -> str:
    return need_setting("UKETSUKE_TEST_DATABASE_URL")


@pytest.fixture
async def bare_database(server_url: str) -> AsyncIterator[str]:
    """A database without a schema."""
    name = f"test_{secrets.token_hex(6)}"
    await _execute(server_url, f'CREATE DATABASE "{name}"')
    try:
        yield urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    finally:
        await _execute(server_url, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
async def database(server_url: str) -> AsyncIterator[str]:
    """The database that the tests of this worker share, with the schema."""
    name = f"test_{secrets.token_hex(6)}"
    await _execute(server_url, f'CREATE DATABASE "{name}"')
    url = urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    try:
        await migrate(url)
        await _execute(url, f'ALTER DATABASE "{name}" SET synchronous_commit = off')  # for speed
        yield url
    finally:
        await _execute(server_url, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
async def bench(database: str) -> AsyncIterator[Bench]:
    await _execute(database, EMPTY)
    async with open_bench(database) as bench:
        yield bench


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
