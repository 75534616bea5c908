"""What a full store costs: a million finished and 100,000 queued jobs, beside an empty one.

The cost is the CPU of both services and of PostgreSQL. The two stores are measured in turn.
"""

import asyncio
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from benchmarks.compare import finish_all
from benchmarks.load import Spec, cpu_seconds, post_script, press, running
from shared.store.migrate import migrate

FINISHED, QUEUED = 1_000_000, 100_000
_NEWER = "01000000-0000-0000-0000-000000000000"  # than what the store was filled with

_FILL = """
INSERT INTO jobs (id, tenant, type, pool, priority, state, knocked_at, max_attempts, sequence,
                  deadline, result_ttl, created_at, updated_at, started_at, completed_at,
                  expires_at, track_id, request, result)
SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
       '00000000-0000-0000-0000-000000000000', 'demo.echo', 'parked', 'normal',
       CASE WHEN ended THEN 'completed' ELSE 'queued' END,
       now(), 4, CASE WHEN ended THEN 3 ELSE 1 END, now() + interval '7 days', interval '7 days',
       now(), now(), CASE WHEN ended THEN now() END, CASE WHEN ended THEN now() END,
       CASE WHEN ended THEN now() + interval '7 days' END, 'filler', '\\x7b7d', '\\x7b7d'
  FROM (SELECT n, n <= $1 AS ended FROM generate_series(1, $1 + $2) AS n) AS rows
"""


def measure_store_size(
    spec: Spec, database_url: str, folder: Path, *, rounds: int, seconds: float
) -> dict[str, Any]:
    """Give the cost of a job in a full store and in an empty one, and their ratio."""
    full, empty = (asyncio.run(_make(database_url, name)) for name in ("bench_full", "bench_empty"))
    print(f"  filling a store with {FINISHED:,} finished and {QUEUED:,} queued jobs", flush=True)
    asyncio.run(_fill(full))
    costs: dict[str, list[float]] = {full: [], empty: []}
    for _ in range(rounds):
        for url, told in costs.items():
            told.append(asyncio.run(_measure(spec, url, folder, seconds)))
            name = "full" if url == full else "empty"
            print(f"  {name:5} store: {told[-1]:.3f} ms CPU a job", flush=True)
    ratios = [a / b for a, b in zip(costs[full], costs[empty], strict=True)]
    return {
        "cpu_ms_per_job_full": round(statistics.median(costs[full]), 3),
        "cpu_ms_per_job_empty": round(statistics.median(costs[empty]), 3),
        "ratio_full_store": round(statistics.median(ratios), 3),
    }


async def _measure(spec: Spec, url: str, folder: Path, seconds: float) -> float:
    here = replace(
        spec,
        env={**spec.env, "UKETSUKE_DATABASE_URL": url},
        finished_sql=f"{spec.finished_sql} AND id > '{_NEWER}'",  # or counting would be the cost
    )
    database = await asyncpg.connect(url)
    try:
        with running(here, folder) as groups:
            script = post_script(spec.body, folder)
            await asyncio.to_thread(press, spec.address, script, seconds=1)  # caches, plans
            await asyncio.sleep(2)
            before = int(await database.fetchval(here.finished_sql))
            cpu = cpu_seconds([*groups, *_postgres()])
            load = await asyncio.to_thread(press, spec.address, script, seconds=seconds)
            done, _ = await finish_all(database, here, before, load.accepted)
            return 1000 * (cpu_seconds([*groups, *_postgres()]) - cpu) / max(1, done)
    finally:
        await database.close()


def _postgres() -> set[int]:
    """Find the process groups of PostgreSQL: each of its processes leads one."""
    groups = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text(encoding="ascii", errors="replace")
        except OSError:
            continue
        if "(postgres)" in text:
            groups.add(int(text.rsplit(")", 1)[1].split()[2]))
    return groups


async def _make(database_url: str, name: str) -> str:
    admin = await asyncpg.connect(database_url)
    try:
        await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await admin.execute(f"CREATE DATABASE {name}")
    finally:
        await admin.close()
    url = urlunsplit(urlsplit(database_url)._replace(path=f"/{name}"))
    await migrate(url)
    return url


async def _fill(url: str) -> None:
    database = await asyncpg.connect(url)
    try:
        await database.execute("SET statement_timeout = 0")
        await database.execute(_FILL.replace("$1", str(FINISHED)).replace("$2", str(QUEUED)))
        await database.execute("VACUUM ANALYZE jobs")
        await database.execute("CHECKPOINT")
    finally:
        await database.close()
