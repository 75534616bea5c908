"""A database set up as a deploy does it: its roles, its owner, its grants."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from shared.store.migrate import migrate
from tests.house.sources import ROOT
from tests.support.needs import need_setting

ROLES: Final = ROOT / "deploy" / "database" / "roles.sql"
SERVICES: Final = {"uketsuke_front": "front_service", "uketsuke_back": "back_service"}
_PASSWORD: Final = "of-the-tests"
_ONE_AT_A_TIME: Final = 0x726F6C65


@asynccontextmanager
async def open_database(server: str | None = None, *, migrated: bool = True) -> AsyncIterator[str]:
    """Give the address of its superuser; the roles stay, for they belong to the whole server."""
    server = server or need_setting("UKETSUKE_TEST_DATABASE_URL")
    name = f"test_{secrets.token_hex(6)}"
    url = urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    admin = await asyncpg.connect(server)
    try:
        await admin.execute(f'CREATE DATABASE "{name}"')
        await admin.execute("SELECT pg_advisory_lock($1)", _ONE_AT_A_TIME)
        await run(url, ROLES.read_text(encoding="utf-8"))
        for role in (*SERVICES, "uketsuke_migrator", "uketsuke_scaler"):
            await admin.execute(f"ALTER ROLE {role} PASSWORD '{_PASSWORD}'")
        await admin.execute("SELECT pg_advisory_unlock($1)", _ONE_AT_A_TIME)
        if migrated:
            await migrate(as_role(url, "uketsuke_migrator"))
        yield url
    finally:
        await admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await admin.close()


def as_role(url: str, role: str) -> str:
    parts = urlsplit(url)
    address = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{role}:{_PASSWORD}@{address}"))


async def run(url: str, script: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(script)
    finally:
        await connection.close()
