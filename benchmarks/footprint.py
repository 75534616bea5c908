"""What a job leaves behind and a process takes: the figures that sizing is reckoned from."""

import asyncio
from pathlib import Path
from typing import Any, Final

import aiohttp

from benchmarks.load import cpu_seconds
from deploy.local.stack import Stack
from tests.support.house import House, open_house
from tests.support.waiting import until

_JOBS: Final = 6_000
_SUBMITTERS: Final = 32
_PAYLOAD: Final = "x" * 1_000  # bytes, which come back as the result
_TABLES: Final = """
SELECT relname AS name, pg_total_relation_size(oid) AS size FROM pg_class
 WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
"""
_WRITTEN: Final = "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"
_SESSIONS: Final = """
SELECT application_name AS name, count(*) AS open FROM pg_stat_activity
 WHERE datname = current_database() AND application_name LIKE 'uketsuke %' GROUP BY 1
"""


async def measure_footprint(stack: Stack, folder: Path) -> dict[str, Any]:
    """Submit jobs while nobody works, then have them done; give what each part of it cost."""
    async with open_house(stack, folder) as house:
        front = await house.front()
        idle, wal = await _sizes(house), await _number(house, _WRITTEN)
        cpu = cpu_seconds([front.pid])
        await _submit(house.url(front))
        of_front = cpu_seconds([front.pid]) - cpu
        knocks, memory = await _queue(stack, house)
        back = await house.back()
        await until(lambda: _all_ended(house), within=120, what="all jobs have ended")
        of_back = cpu_seconds([back.pid])
        sessions = {row["name"]: row["open"] for row in await house.fetch(_SESSIONS)}
        grown = {name: size - idle[name] for name, size in (await _sizes(house)).items()}
        written = await _number(house, _WRITTEN) - wal
        return {
            "jobs": _JOBS,
            "payload_bytes": len(_PAYLOAD),
            "store_bytes_per_job": round(sum(grown.values()) / _JOBS),
            "largest_tables": {n: round(s / _JOBS) for n, s in _largest(grown)},
            "wal_bytes_per_job": round(written / _JOBS),
            "jobs_per_knock": round(_JOBS / max(1, knocks), 1),
            "broker_bytes_per_knock": round(memory / max(1, knocks)),
            "cpu_ms_per_job": {
                "front": round(1_000 * of_front / _JOBS, 3),
                "back_with_its_start": round(1_000 * of_back / _JOBS, 3),
            },
            "memory_mb": {"front": _memory(front.pid), "back": _memory(back.pid)},
            "database_sessions": sessions,
            "broker_connections": await _connections(stack, house),
        }


def _largest(grown: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(grown.items(), key=lambda found: -found[1])[:4]


async def _sizes(house: House) -> dict[str, int]:
    return {row["name"]: row["size"] for row in await house.fetch(_TABLES)}


async def _number(house: House, query: str) -> int:
    return int(str(await house.fetchval(query)))


async def _all_ended(house: House) -> bool:
    return await house.fetchval("SELECT count(*) FROM jobs WHERE completed_at IS NULL") == 0


async def _submit(url: str) -> None:
    jobs = iter(range(_JOBS))

    async def submitter(session: aiohttp.ClientSession) -> None:
        for _ in jobs:
            async with session.post("/api/demo/echo", json={"payload": _PAYLOAD}) as answer:
                answer.raise_for_status()

    async with aiohttp.ClientSession(url) as session:
        await asyncio.gather(*(submitter(session) for _ in range(_SUBMITTERS)))


async def _queue(stack: Stack, house: House) -> tuple[int, int]:
    """Count the knocks that lie in the queues, and the memory of those queues."""
    vhost = house.amqp_url.rpartition("/")[2]
    words = ("list_queues", "-q", "-p", vhost, "messages", "memory", "--no-table-headers")
    lines = (await asyncio.to_thread(stack.broker.ctl, *words)).splitlines()
    rows = [line.split() for line in lines if line.strip()]
    return sum(int(row[0]) for row in rows), max((int(row[1]) for row in rows), default=0)


async def _connections(stack: Stack, house: House) -> dict[str, int]:
    """Count the broker's connections of one front and of one back."""
    vhost = house.amqp_url.rpartition("/")[2]
    words = ("list_connections", "-q", "vhost", "client_properties", "--no-table-headers")
    lines = (await asyncio.to_thread(stack.broker.ctl, *words)).splitlines()
    ours = [line for line in lines if line.startswith(vhost)]
    return {who: sum(f"{who}-" in line for line in ours) for who in ("front", "back")}


def _memory(pid: int) -> int:
    """Read what a process keeps in memory, in MB."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return round(int(line.split()[1]) / 1_000)
    return 0
