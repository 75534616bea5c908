"""How a list is found in a full store, whatever it is asked for: by an index, not by a walk."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from shared.contract.errors import Unavailable
from shared.contract.ids import THE_TENANT
from shared.contract.states import State
from shared.store.migrate import migrate
from shared.store.pool import Pool, TooLong, open_pool
from shared.store.reads import Filters, Reads

pytestmark = pytest.mark.servers

# The older a job, the smaller its n: what is asked for below is among the oldest, where a walk
# from the newest on comes last.
_FILL: Final = """
INSERT INTO jobs (id, tenant, type, pool, priority, key, seq, state, due, lease_until, started_at,
                  max_attempts, deadline, result_ttl, created_at, updated_at, completed_at,
                  expires_at, track_id, tags, request)
SELECT overlay(gen_random_uuid()::text PLACING lpad(to_hex(n), 8, '0') FROM 1)::uuid,
       '00000000-0000-0000-0000-000000000000',
       CASE WHEN n % 10000 = 7 THEN 'rare.one' ELSE 'demo.echo' END, 'default', 'normal',
       CASE WHEN n % 2 = 0 THEN 'key-' || n / 10 END, CASE WHEN n % 2 = 0 THEN n END, state,
       CASE WHEN state IN ('scheduled', 'retrying') THEN clock_timestamp() END,
       CASE WHEN state IN ('running', 'cancelling') THEN clock_timestamp() END,
       CASE WHEN state NOT IN ('scheduled', 'queued') THEN clock_timestamp() END,
       4, clock_timestamp() + interval '7 days', interval '1 day', clock_timestamp(),
       clock_timestamp(), CASE WHEN has_ended THEN clock_timestamp() END,
       CASE WHEN has_ended THEN clock_timestamp() + interval '1 day' END, 'track',
       CASE WHEN n % 10000 = 7 THEN '{rare}'::text[] ELSE '{}' END, '{}'
  FROM (SELECT n, state, state IN ('completed', 'failed') AS has_ended
          FROM (SELECT n, CASE WHEN n > 120 THEN 'completed' ELSE
                       ('{queued,running,scheduled,retrying,cancelling,failed}'::text[])[n % 6 + 1]
                       END AS state FROM generate_series(1, $1::int) AS n) AS jobs) AS judged
"""
_MANY: Final = 30_000
_FEW: Final = 500  # rows: what may be read to find a page of 50
_PAGE: Final = 50


@pytest.fixture(scope="module")
async def store(server_url: str) -> AsyncIterator[str]:
    """A database with many ended jobs, and a few others that are older than all of them."""
    admin = await asyncpg.connect(server_url)
    name = f"test_{secrets.token_hex(6)}"
    await admin.execute(f'CREATE DATABASE "{name}"')
    url = urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    try:
        await migrate(url)
        connection = await asyncpg.connect(url)
        await connection.execute(_FILL, _MANY)
        await connection.execute("ANALYZE jobs")
        await connection.close()
        yield url
    finally:
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        await admin.close()


@asynccontextmanager
async def open_lone(url: str) -> AsyncIterator[Pool]:
    """A pool of one connection, as a front's."""
    async with open_pool(url, size=1, name="test", patience=5) as pool:
        yield pool


async def rows_read(pool: Pool) -> int:
    """Count the rows of jobs that were read so far, also those that did not fit."""
    await pool.fetchval("SELECT pg_stat_force_next_flush()")
    query = (
        "SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)"
        " FROM pg_stat_user_tables WHERE relname = 'jobs'"
    )
    return int(await pool.fetchval(query))


@pytest.mark.parametrize(
    "filters",
    [
        Filters(),
        Filters(ordering_key="key-3"),
        Filters(ordering_key="nobody's"),
        Filters(states=[State.FAILED]),
        Filters(states=[State.QUEUED]),
        Filters(states=[State.RUNNING]),
        Filters(states=[State.RUNNING, State.CANCELLING]),
        Filters(states=[State.SCHEDULED, State.QUEUED, State.RETRYING]),
        Filters(states=[State.SCHEDULED]),
        Filters(states=[State.COMPLETED]),
        Filters(states=[State.FAILED], type="rare.one", tag="rare"),
    ],
    ids=str,
)
async def test_a_list_reads_little_more_than_it_shows(store: str, filters: Filters) -> None:
    """Anybody may ask for one, as often as he likes: it must not cost what a table is large."""
    async with open_lone(store) as pool:
        reads = Reads(pool)
        for _ in range(6):  # a plan that is kept would be kept by then
            await reads.jobs(THE_TENANT, filters, limit=_PAGE)
        before = await rows_read(pool)

        await reads.jobs(THE_TENANT, filters, limit=_PAGE)

        assert await rows_read(pool) - before <= _FEW


@pytest.mark.parametrize("filters", [Filters(type="rare.one"), Filters(tag="rare")], ids=str)
async def test_what_no_index_finds_is_found_in_time_or_refused(
    store: str, filters: Filters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A walk from the newest on has an end: 503 says so, and the connection serves the next."""
    async with open_lone(store) as pool:
        session = await pool.fetchval("SELECT pg_backend_pid()")
        assert len(await Reads(pool).jobs(THE_TENANT, filters, limit=_PAGE)) == _MANY // 10_000

        monkeypatch.setattr("shared.store.reads._LONGEST_LIST", 0.001)
        with pytest.raises(TooLong, match="orderingKey") as refused:
            await Reads(pool).jobs(THE_TENANT, filters, limit=_PAGE)

        assert isinstance(refused.value, Unavailable)
        assert await pool.fetchval("SELECT pg_backend_pid()") == session
