"""How PostgreSQL answers: by id, and never by a walk along the waiting line."""

import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import orjson
import pytest

from shared.store.migrate import migrate
from shared.store.sql import statement

pytestmark = pytest.mark.servers

_FILL: Final = """
INSERT INTO jobs (id, tenant, type, pool, priority, key, seq, state, due, knocked_at, max_attempts,
                  deadline, result_ttl, created_at, updated_at, started_at, completed_at,
                  expires_at, track_id, request, attempt)
SELECT gen_random_uuid(), '00000000-0000-0000-0000-000000000000', 'demo.echo', 'default', 'normal',
       CASE WHEN n % 3 = 0 THEN 'key-' || n % 49999 END, CASE WHEN n % 3 = 0 THEN $3 + n END,
       CASE WHEN $1 THEN 'completed' WHEN n % 5 = 0 THEN 'scheduled' ELSE 'queued' END,
       CASE WHEN NOT $1 AND n % 5 = 0 THEN clock_timestamp() + interval '1 hour' END,
       clock_timestamp(), 4,
       clock_timestamp() + interval '7 days', interval '1 day', clock_timestamp(),
       clock_timestamp(), CASE WHEN $1 THEN clock_timestamp() END,
       CASE WHEN $1 THEN clock_timestamp() END,
       CASE WHEN $1 THEN clock_timestamp() + interval '1 day' END, 'track', '{}', $1::int
  FROM generate_series(1, $2::int) AS n
"""
_HEADS: Final = """
INSERT INTO key_heads (tenant, key, tail, head)
SELECT DISTINCT ON (tenant, key) tenant, key, 1000000, id FROM jobs WHERE key IS NOT NULL
"""
_MORE: Final = """
INSERT INTO outbox (route, job_ids, keyed, track_ids, due)
SELECT 'jobs.default.normal', '{}', false, '', clock_timestamp() + interval '1 hour'
  FROM generate_series(1, 20000);
INSERT INTO tombstones (tenant, job_id)
SELECT '00000000-0000-0000-0000-000000000000', gen_random_uuid() FROM generate_series(1, 20000);
INSERT INTO blobs (id, tenant, name, content_type, size_bytes, sha256)
SELECT gen_random_uuid(), '00000000-0000-0000-0000-000000000000', '', '', 0, ''
  FROM generate_series(1, 20000);
"""
_MANY: Final = 100_000
_A_LOT: Final = 128  # jobs of one batch

_ARGUMENTS: Final[Mapping[str, str]] = {
    "claim": "{ids}, '10 s', '{{demo.echo}}', true, 2, false",
    "renew": "{ids}, {tokens}, '10 s'",
    "cancelling": "{ids}",
    "finish": "{ids}, {tokens}, {moves}, {delays}, {tokens}, '{{}}', {moves}, {moves},"
    " '{{complete}}', '{{running}}', '{{completed}}', '{{completed}}', '7 days', true",
    "written": "{ids}, {tokens}, {moves}, '{{complete}}', '{{running}}', '{{completed}}'",
    "lock": "{ids}",
    "advance": "{ids}",
    "go_on": "{ids}, {ids}, '10 s', '{{demo.echo}}', 2",
    "knock": "{ids}, '1 s'",
    "job": "'00000000-0000-0000-0000-000000000000', {id}, 65536",
    "job_batch": "{tenants}, {ids}, 65536",
    "accepted": "{ids}",
    "due": "500",
    "lapsed": "500",
    "overdue": "500",
    "outlived": "500",
    "unheard": "'default', 'normal', false, '5 s', 2",
    "line": "'default', '{{high,normal,low}}', 100",
    "before": "'00000000-0000-0000-0000-000000000000', {id}, 200",
    "newest_tenants": "300",
    "lines": "'{{00000000-0000-0000-0000-000000000000}}', '{{default}}', '{{normal}}',"
    " '{{-infinity}}', '{{demo.echo}}', 2, 64",
    "count_waiting": "'{{00000000-0000-0000-0000-000000000000}}', '{{100}}'",
    "suspects": "2, '{{default}}', '{{demo.echo}}'",
    "take": "'10 s', 200",
    "outbox_late": "'jobs.default.normal'",
    "orphan_blobs": "'1 day', 500",
    "forget_tombstones": "500",
    "unknown_blobs": "{ids}",
    "come_due": "{ids}",
    "rescue": "{ids}, 3, '7 days'",
    "expire": "{ids}, '7 days'",
    "cancel": "'00000000-0000-0000-0000-000000000000', {id}, '{{}}', '{{}}', '{{}}'",
    "replay": "'00000000-0000-0000-0000-000000000000', {id}, '{{}}', '{{}}', '{{}}', NULL",
    "release": "'00000000-0000-0000-0000-000000000000', {id}",
    "progress": "{ids}, {tokens}, {tokens}, {moves}",
    "checkpoint": "{id}, 1, ''",
    "list": "'00000000-0000-0000-0000-000000000000', NULL, NULL, false, NULL, NULL, NULL, NULL,"
    " NULL, 50, 65536, NULL",
    "names_of": "{ids}",
    "replace": "{ids}, '{{}}', '{{}}', '{{}}'",
    "claim_name": "'00000000-0000-0000-0000-000000000000', {id}",
    "states": "'00000000-0000-0000-0000-000000000000', {ids}",
    "outlive": "'00000000-0000-0000-0000-000000000000', {ids}, '2030-01-01Z'",
    "batch": "'00000000-0000-0000-0000-000000000000', {id}",
    "close_batches": "{ids}, '7 days'",
    "open_batches": "{id}, 500",
    "forget_batches": "500",
}
"""Every statement of the hot path and of upkeep, and with what it is asked."""

_STALE: Final = "statistics from when nothing was queued"
_FRESH: Final = "fresh statistics"
_MODES: Final = ("force_custom_plan", "force_generic_plan", "auto")


def _questions() -> Iterator[tuple[str, str, str]]:
    """List which statement is to be explained over which statistics, planned in which way."""
    for mode in _MODES:
        for name in _ARGUMENTS:
            if (name, mode) != ("list", "force_generic_plan"):  # see test_list_plans
                yield _FRESH, name, mode
            if name not in ("overdue", "come_due", "list"):  # some more work until an ANALYZE
                yield _STALE, name, mode


@pytest.fixture(scope="module")
async def stores(server_url: str) -> AsyncIterator[Mapping[str, Any]]:
    """Give two stores with as many finished as queued jobs, by what their statistics know."""
    admin = await asyncpg.connect(server_url)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(admin.close)
        yield {
            kind: await stack.enter_async_context(_store(admin, server_url, kind))
            for kind in (_FRESH, _STALE)
        }


@asynccontextmanager
async def _store(admin: Any, server_url: str, kind: str) -> AsyncIterator[Any]:
    name = f"test_{secrets.token_hex(6)}"
    await admin.execute(f'CREATE DATABASE "{name}"')
    url = urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    try:
        await migrate(url)
        connection = await asyncpg.connect(url, statement_cache_size=0)
        await _fill(connection, statistics_first=kind == _STALE)
        yield connection
        await connection.close()
    finally:
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


async def _fill(connection: Any, *, statistics_first: bool) -> None:
    await connection.execute("SET synchronous_commit = off")
    await connection.execute("ALTER TABLE jobs SET (autovacuum_enabled = off)")
    await connection.execute(_FILL, True, _MANY, 0)
    if statistics_first:
        await connection.execute("ANALYZE")
    await connection.execute(_FILL, False, _MANY, _MANY)
    await connection.execute(_HEADS)
    await connection.execute(_MORE)
    await connection.execute("ANALYZE key_heads, outbox, tombstones, blobs")
    if not statistics_first:
        await connection.execute("ANALYZE")


@pytest.mark.parametrize(("kind", "name", "mode"), list(_questions()))
async def test_no_statement_reads_more_rows_than_it_was_asked_about(
    stores: Mapping[str, Any], kind: str, name: str, mode: str
) -> None:
    """Nothing in the path of a request may scale with what is stored, queued or watched."""
    plan = await explain(stores[kind], name, mode)

    read = {
        f"{node['Node Type']} on {node['Relation Name']}: {found}"
        for node in nodes(plan)
        if "Relation Name" in node and (found := rows_read(node)) > 4 * _A_LOT
    }
    assert read == set()


async def explain(connection: Any, name: str, mode: str) -> Mapping[str, Any]:
    """Run a statement on jobs in the midst of the line, and take it back; answer how it went."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        ids = await connection.fetch("SELECT id FROM jobs WHERE state = 'queued' LIMIT $1", _A_LOT)
        arguments = _ARGUMENTS[name].format(**lots([str(row["id"]) for row in ids]))
        await connection.execute(f"SET LOCAL plan_cache_mode = {mode}")
        await connection.execute(f"PREPARE asked AS {statement(name)}")
        for _ in range(6 if mode == "auto" else 0):  # from then on it may keep one plan for all
            await connection.execute(f"EXPLAIN EXECUTE asked ({arguments})")
        explained = await connection.fetchval(
            f"EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) EXECUTE asked ({arguments})"
        )
    finally:
        await transaction.rollback()
        await connection.execute("DEALLOCATE ALL")
    plan: Mapping[str, Any] = orjson.loads(explained)[0]["Plan"]
    return plan


def lots(ids: list[str]) -> dict[str, str]:
    """Write *ids*, and values of other types in the same number, as SQL."""

    def lot(value: str) -> str:
        return "'{" + ",".join([value] * len(ids)) + "}'"

    return {
        "id": f"'{ids[0]}'",
        "ids": "'{" + ",".join(ids) + "}'",
        "tenants": lot("00000000-0000-0000-0000-000000000000"),
        "tokens": lot("0"),
        "moves": lot("complete"),
        "delays": lot("1 s"),
    }


def nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def rows_read(node: Mapping[str, Any]) -> int:
    """Count what a scan looked at, whether it kept it or not."""
    loops = node["Actual Loops"]
    return int(loops * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)))
