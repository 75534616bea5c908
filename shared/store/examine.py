"""Look at a database as a service would meet it, and say what is not as it should be.

Nothing is changed, and nothing waits for longer than some seconds.
"""

import json
import time
from collections.abc import Iterator
from typing import Final

from shared.contract.errors import Unavailable
from shared.contract.findings import Finding, sound, unknown, wrong
from shared.store.migrate import MigrationFailed, missing
from shared.store.operating import Operating, Worker
from shared.store.pool import LIMITS, Pool, Rejected, open_pool
from shared.store.session import Session, complaints
from shared.store.sql import statement

_OLDEST: Final = 150_000  # PostgreSQL 15
_MOST_SKEW: Final = 1.0  # seconds
_URL: Final = "Set UKETSUKE_DATABASE_URL to the primary, and see that it runs and lets us in."
_MIGRATE: Final = "Run `python -m shared.store.migrate`."


async def examine_database(url: str, *, most_sessions: int) -> list[Finding]:
    """Look at the database at *url*; *most_sessions* is what one process opens."""
    async with open_pool(url, size=2, name="uketsuke doctor") as pool:
        try:
            found = [*await _server(pool), *await _limits(pool, most_sessions)]
            lacking = await _schema(url)
            return [*found, lacking, *await _rights(pool)]
        except (Unavailable, Rejected, OSError) as error:
            return [wrong("database", str(error) or type(error).__name__, _URL)]


async def living_workers(url: str) -> list[Worker]:
    """List the workers that live; raises ``Unavailable`` or ``Rejected``."""
    async with open_pool(url, size=2, name="uketsuke doctor") as pool:
        return await Operating(pool).workers()


async def _server(pool: Pool) -> list[Finding]:
    before = time.time()
    row = await pool.fetchrow(statement("server"))
    after = time.time()
    if row is None:
        raise Rejected("no answer to a question that has one")
    return [
        _version(row["number"], row["version"]),
        _role(is_copy=row["is_copy"]),
        _clock(row["now"], before, after),
    ]


def _version(number: int, text: str) -> Finding:
    what = "database: version"
    if number < _OLDEST:
        return wrong(what, text, "Upgrade to PostgreSQL 15 or newer.")
    return sound(what, text)


def _role(*, is_copy: bool) -> Finding:
    what = "database: role"
    if is_copy:
        return wrong(what, "a standby, which takes no jobs in", _URL)
    return sound(what, "primary")


def _clock(theirs: float, before: float, after: float) -> Finding:
    """Judge the clocks; the question took from *before* to *after*."""
    what, skew = "clocks: database and here", max(before - theirs, theirs - after, 0.0)
    if skew <= _MOST_SKEW:
        return sound(what, f"no more than {_MOST_SKEW:g} s apart")
    text = f"{skew:.1f} s apart; due times and leases go by the database's"
    return wrong(what, text, "Run a slewing time service (chrony) on both machines.")


async def _limits(pool: Pool, most_sessions: int) -> list[Finding]:
    row = await pool.fetchrow(statement("session"), list(LIMITS))
    if row is None:
        raise Rejected("no answer to a question that has one")
    settings = json.loads(row["settings"])
    session = Session(settings=settings, is_local=row["is_local"], seats=row["seats"])
    bad = complaints(session, most_sessions=most_sessions)
    return [
        wrong(f"database: {one.setting}", f"{one.found}: {one.why}", _cure(one.setting))
        for one in bad
    ] or [sound("database: settings and limits", "as we rely on")]


def _cure(setting: str) -> str:
    if setting in LIMITS:
        return "Connect past the pooler, or have it pass on what a session asks for."
    if setting == "max_connections":
        return "Raise max_connections (a restart), or lower UKETSUKE_POOL_SIZE."
    return f"ALTER SYSTEM SET {setting} = on; then SELECT pg_reload_conf();"


async def _schema(url: str) -> Finding:
    what = "database: migrations"
    try:
        lacking = await missing(url)
    except MigrationFailed as error:
        return wrong(what, str(error), "Run the release that this database was made by.")
    if lacking:
        return wrong(what, f"missing: {', '.join(lacking)}", _MIGRATE)
    return sound(what, "none is missing")


async def _rights(pool: Pool) -> list[Finding]:
    """Ask whether we may at least read what both services read, and knock."""
    rows = await pool.fetch(statement("rights"))
    return list(_judged([(row["name"], row["verb"]) for row in rows if not row["may"]]))


def _judged(refused: list[tuple[str, str]]) -> Iterator[Finding]:
    what = "database: rights"
    if refused:
        told = ", ".join(f"{verb} on {name}" for name, verb in refused)
        yield wrong(what, f"lacking: {told}", f"{_MIGRATE} It grants what each role needs.")
    else:
        yield sound(what, "may read jobs and write knocks")


def not_asked(what: str, error: Exception) -> Finding:
    """Say that the database did not answer a question of somebody else's."""
    return unknown(what, f"the database does not say: {error}")
