"""A database for what PostgreSQL must be asked about."""

import secrets
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from shared.store.migrate import migrate
from tests.support.needs import need_setting


@pytest.fixture(scope="module")
async def schema() -> AsyncIterator[Any]:
    """An empty database with the schema."""
    server_url = need_setting("UKETSUKE_TEST_DATABASE_URL")
    name = f"test_{secrets.token_hex(6)}"
    admin = await asyncpg.connect(server_url)
    await admin.execute(f'CREATE DATABASE "{name}"')
    url = urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    try:
        await migrate(url)
        connection = await asyncpg.connect(url)
        yield connection
        await connection.close()
    finally:
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        await admin.close()
