"""What keys, quotas and tenants cost: without them and with them, in turn.

Without: nobody is asked who he is. With: every submit bears an API key, whose tenant has a rate, a
bound of waiting jobs and one of streams, all far away. The order changes from round to round.
"""

import asyncio
import statistics
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from secrets import token_bytes
from typing import Any, Final
from uuid import uuid4

import asyncpg

from benchmarks.compare import finish_all
from benchmarks.load import Spec, apart, cpu_seconds, post_script, press, running
from shared.contract.access import EVERYTHING, KEY_BYTES, digest_of, write_key
from shared.store.ledgers import KeyLedger, TenantLedger
from shared.store.pool import open_pool
from shared.store.quotas import Limits

_TENANT: Final = "bench"
_NO_KEYS: Final = "DELETE FROM api_keys"
_LIMITS: Final = Limits(rate=50_000, burst=50_000, queued=10_000_000, streams=1_000)


def measure_tenants(
    spec: Spec, database_url: str, folder: Path, *, rounds: int, seconds: float
) -> dict[str, Any]:
    """Give medians of CPU a job and jobs a second, off and on, and the medians of their ratios."""
    spec = apart(spec)
    with running(spec, folder):
        pass  # so that there are tables
    told: dict[str, list[dict[str, float]]] = {"off": [], "on": []}
    for number in range(rounds):
        for kind in ("off", "on") if number % 2 == 0 else ("on", "off"):
            row = asyncio.run(_measure(spec, database_url, folder, kind=kind, seconds=seconds))
            told[kind].append(row)
            print(f"  {kind:3}", {name: round(value, 3) for name, value in row.items()}, flush=True)
    names = tuple(told["off"][0])
    return {
        **{
            kind: {name: _median(row[name] for row in rows) for name in names}
            for kind, rows in told.items()
        },
        "ratios_on_to_off": {
            name: _median(on[name] / off[name] for off, on in zip(*told.values(), strict=True))
            for name in names
        },
    }


async def _measure(
    spec: Spec, url: str, folder: Path, *, kind: str, seconds: float
) -> dict[str, float]:
    fields: dict[str, str] = {}
    database = await asyncpg.connect(url)
    try:
        await database.execute(_NO_KEYS)  # while there is one, all are asked for one
        if kind == "on":
            fields["Authorization"] = f"Bearer {await _key(url)}"
            spec = replace(spec, env={**spec.env, "UKETSUKE_AUTH": "required"})
        script = post_script(spec.body, folder, fields=fields)
        with running(spec, folder) as groups:
            await asyncio.to_thread(press, spec.address, script, seconds=2)  # to warm up
            await _settle(database, spec)
            before = int(await database.fetchval(spec.finished_sql))
            cpu, begun = cpu_seconds(groups), time.monotonic()
            load = await asyncio.to_thread(press, spec.address, script, seconds=seconds)
            done, at = await finish_all(database, spec, before, load.accepted)
            spent = cpu_seconds(groups) - cpu
    finally:
        await database.execute(_NO_KEYS)  # or the other benches of this database would be refused
        await database.close()
    if load.refused or done < load.accepted:
        raise RuntimeError(f"{load.refused} refused, {load.accepted - done} did not finish")
    return {
        "accepted_per_s": load.accepted / seconds,
        "completed_per_s": done / (at - begun),
        "cpu_ms_per_job": 1000 * spent / done,
    }


async def _key(url: str) -> str:
    """Make a key, and say what its tenant may use."""
    shown = write_key(token_bytes(KEY_BYTES))
    digest = digest_of(shown)
    if digest is None:
        raise AssertionError("a key of ours is not taken for one")
    async with open_pool(url, size=1, name="bench") as pool:
        await KeyLedger(pool).add(uuid4(), digest, tenant=_TENANT, name="app", scopes=EVERYTHING)
        await TenantLedger(pool).set_limits(_TENANT, _LIMITS)
    return shown


async def _settle(database: "asyncpg.Connection[Any]", spec: Spec) -> None:
    """Wait until nothing is left of the warm-up."""
    done = int(await database.fetchval(spec.finished_sql))
    accepted = int(await database.fetchval("SELECT count(*) FROM jobs"))
    await finish_all(database, spec, done, accepted - done)


def _median(values: Iterable[float]) -> float:
    return round(statistics.median(values), 3)
