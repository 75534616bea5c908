"""Take the pulse of processes and tables, and say whether they only ever grow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import aiohttp

from tests.support.house import House

_PAGE: Final = 4096
_TASKS: Final = "uketsuke_tasks "
_TABLES: Final = """
SELECT relname, n_live_tup AS live, n_dead_tup AS dead, pg_total_relation_size(relid) AS size
  FROM pg_stat_user_tables
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """What one process has at one moment."""

    rss_mb: float
    descriptors: int
    tasks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What one table has at one moment."""

    live: int
    dead: int
    size_mb: float


async def pulse(pid: int, probes: str) -> Pulse:
    """Look at process *pid*, whose ``/metrics`` are below the address *probes*."""
    rss_mb, descriptors = _seen_by_the_kernel(pid)
    async with aiohttp.ClientSession() as session, session.get(f"{probes}/metrics") as answer:
        assert answer.status == 200, await answer.text()
        said = await answer.text()
    tasks = next(line for line in said.splitlines() if line.startswith(_TASKS))
    return Pulse(
        rss_mb=rss_mb,
        descriptors=descriptors,
        tasks=round(float(tasks.removeprefix(_TASKS))),
    )


def _seen_by_the_kernel(pid: int) -> tuple[float, int]:
    process = Path(f"/proc/{pid}")
    resident = int((process / "statm").read_text(encoding="ascii").split()[1])
    return round(resident * _PAGE / 2**20, 1), len(list((process / "fd").iterdir()))


async def tables(house: House) -> Mapping[str, Table]:
    return {
        row["relname"]: Table(
            live=row["live"], dead=row["dead"], size_mb=round(row["size"] / 2**20, 2)
        )
        for row in await house.fetch(_TABLES)
    }


def growth(samples: Sequence[float]) -> float:
    """Say by how much the last third lies above the second: the first is for warming up."""
    third = len(samples) // 3
    if not third:
        raise ValueError("too few samples to see a growth in")
    return round(median(samples[-third:]) - median(samples[third : 2 * third]), 1)
