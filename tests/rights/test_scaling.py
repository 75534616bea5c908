"""What an autoscaler asks the database: the right number, with few rights, and cheaply."""

from collections.abc import AsyncIterator
from typing import Any, Final

import asyncpg
import pytest
import yaml

from tests.house.sources import ROOT
from tests.rights.databases import as_role, open_database

pytestmark = pytest.mark.servers

SCALER: Final = ROOT / "deploy" / "kubernetes" / "components" / "keda" / "default.yaml"
_JOBS: Final = """
INSERT INTO jobs (id, tenant, type, pool, priority, key, seq, state, due, knocked_at, lease_until,
                  max_attempts, deadline, result_ttl, created_at, updated_at, completed_at,
                  track_id, request)
SELECT gen_random_uuid(), '00000000-0000-0000-0000-000000000000', 'demo.echo', $1, $2,
       CASE WHEN $4 IS NULL AND $3 = 'queued' THEN 'key' END,
       CASE WHEN $4 IS NULL AND $3 = 'queued' THEN nextval('outbox_id_seq') END, $3::text,
       CASE WHEN $3 IN ('scheduled', 'retrying') THEN now() + interval '1 hour' END,
       now() - $4::interval, CASE WHEN $3 IN ('running', 'cancelling') THEN now() END, 4,
       now() + interval '1 day', interval '1 day', now(), now(),
       CASE WHEN $3 = 'completed' THEN now() END, 'track', ''
  FROM generate_series(1, $5::int)
"""


def queries() -> dict[str, str]:
    """Read what is asked, by the name of the trigger."""
    found = yaml.safe_load(SCALER.read_text("utf-8"))
    return {t["name"]: t["metadata"]["query"] for t in found["spec"]["triggers"]}


@pytest.fixture
async def scaler() -> AsyncIterator[tuple[Any, Any]]:
    """The owner's connection and the scaler's, on a database of their own."""
    async with open_database() as url:
        owner = await asyncpg.connect(url)
        asker = await asyncpg.connect(as_role(url, "uketsuke_scaler"))
        try:
            yield owner, asker
        finally:
            await asker.close()
            await owner.close()


async def test_depth_counts_the_jobs_that_a_worker_could_run_or_runs(
    scaler: tuple[Any, Any],
) -> None:
    """Neither those of another pool, nor those that wait for their time or their turn."""
    owner, asker = scaler
    assert await asker.fetchval(queries()["depth"]) == 0

    for pool, state, waited, number in [
        ("default", "queued", "1 s", 5),
        ("default", "running", None, 2),
        ("default", "cancelling", None, 1),
        ("default", "queued", None, 7),  # behind the head of their key
        ("default", "scheduled", None, 7),
        ("default", "retrying", None, 7),
        ("default", "completed", None, 7),
        ("video", "queued", "1 s", 7),
        ("video", "running", None, 7),
    ]:
        await _add(owner, pool, "normal", state, waited, number=number)

    assert await asker.fetchval(queries()["depth"]) == 8


async def test_age_is_that_of_the_oldest_of_any_priority(scaler: tuple[Any, Any]) -> None:
    """And nothing while nobody waits."""
    owner, asker = scaler
    assert await asker.fetchval(queries()["age"]) == 0

    await _add(owner, "default", "high", "queued", "10 s", number=3)
    await _add(owner, "default", "low", "queued", "100 s", number=3)
    await _add(owner, "video", "low", "queued", "1000 s", number=3)

    assert 100 <= await asker.fetchval(queries()["age"]) < 160


async def test_asking_reads_no_table_whole(scaler: tuple[Any, Any]) -> None:
    """It is asked every five seconds, also beside a million jobs that have ended."""
    owner, _ = scaler
    await _add(owner, "default", "normal", "completed", None, number=20_000)
    await _add(owner, "default", "normal", "queued", "10 s", number=50)
    await owner.execute("ANALYZE")

    for query in queries().values():
        plan = "\n".join(row[0] for row in await owner.fetch(f"EXPLAIN {query}"))
        assert "Seq Scan" not in plan, plan


async def _add(
    owner: Any, pool: str, priority: str, state: str, waited: str | None, *, number: int
) -> None:
    query = _JOBS.replace("$4::interval", f"interval '{waited}'" if waited else "NULL::interval")
    query = query.replace("$4 IS NULL", "true" if waited is None else "false")
    query = query.replace("$5", "$4")
    await owner.execute(query, pool, priority, state, number)
