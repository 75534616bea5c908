"""What a flood does: five times of what the desk can take, against what it takes at its best.

Rounds in turn: 64 callers that submit as soon as they are answered (the peak), half of that at an
even pace (the normal), and five times the peak (the flood). What counts are the ratios of one run.
Load and service share the machine: what the flood offered in truth is told as well.
"""

import asyncio
import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import asyncpg

from benchmarks.compare import finish_all
from benchmarks.load import CannotMeasure, Spec, apart, cpu_seconds, running

_CALLERS: Final = 64
_CROWD: Final = 1_000  # connections of the flood
_TIMES: Final = 5


def measure_overload(
    spec: Spec, database_url: str, folder: Path, *, rounds: int, seconds: float
) -> dict[str, Any]:
    """Give medians of the three kinds of rounds, and the ratios of flood to peak and to normal."""
    told: dict[str, list[dict[str, Any]]] = {"peak": [], "normal": [], "flood": []}
    spec = apart(spec)
    with running(spec, folder) as groups:
        warm_up = _round(spec, groups, database_url, lines=_CALLERS, rate=0, seconds=2)
        asyncio.run(warm_up)
        for _ in range(rounds):
            for kind, rows in told.items():
                peak = told["peak"][-1]["accepted_per_s"] if told["peak"] else 0
                rate = {"peak": 0, "normal": peak / 2, "flood": peak * _TIMES}[kind]
                lines = _CALLERS if kind == "peak" else _CROWD
                row = asyncio.run(
                    _round(spec, groups, database_url, lines=lines, rate=rate, seconds=seconds)
                )
                rows.append(row)
                print(f"  {kind:6}", _short(row), flush=True)
    return _summed_up(told)


async def _round(
    spec: Spec, groups: Sequence[int], url: str, *, lines: int, rate: float, seconds: float
) -> dict[str, Any]:
    """Load for that long, and wait until all that was accepted is done."""
    database = await asyncpg.connect(url)
    try:
        before = int(await database.fetchval(spec.finished_sql))
        stored = int(await database.fetchval("SELECT count(*) FROM jobs"))
        cpu = cpu_seconds(groups[:1])
        row = await asyncio.to_thread(_flood, spec, lines, rate, seconds)
        row["front_cpu_s"] = cpu_seconds(groups[:1]) - cpu
        completed = int(await database.fetchval(spec.finished_sql)) - before
        wanted = int(await database.fetchval("SELECT count(*) FROM jobs")) - stored
        done, _ = await finish_all(database, spec, before, wanted)
    finally:
        await database.close()
    if not wanted:
        raise CannotMeasure(f"nothing was accepted: {_short(row)}")
    if done < wanted:
        raise CannotMeasure(f"{wanted - done} of {wanted} jobs did not finish")
    return {**row, "completed_share_at_end": completed / max(1, wanted)}


def _flood(spec: Spec, lines: int, rate: float, seconds: float) -> dict[str, Any]:
    argv = [sys.executable, "-m", "benchmarks.flood", spec.address, json.dumps(dict(spec.body))]
    argv += [str(seconds), str(lines), str(rate)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotMeasure(done.stderr[-2_000:])
    row: dict[str, Any] = json.loads(done.stdout)
    return row


def _summed_up(told: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    names = ["offered_per_s", "accepted_per_s", "accepted_p50_ms", "accepted_p99_ms"]
    names += [
        "refused_per_s",
        "refused_p50_ms",
        "refused_p99_ms",
        "completed_share_at_end",
        "front_cpu_s",
        "load_cpu_s",
    ]
    medians = {
        kind: {name: _median(row[name] for row in rows) for name in names}
        for kind, rows in told.items()
    }
    rounds = list(zip(*told.values(), strict=True))
    return {
        "medians": medians,
        "lost": sum(row["lost"] for rows in told.values() for row in rows),
        "ratios": {
            "offered_to_peak": _ratio(rounds, "offered_per_s", "accepted_per_s"),
            "goodput_to_peak": _ratio(rounds, "accepted_per_s", "accepted_per_s"),
            "accepted_p99_to_peak": _ratio(rounds, "accepted_p99_ms", "accepted_p99_ms"),
            "accepted_p99_to_normal": _median(
                flood["accepted_p99_ms"] / normal["accepted_p99_ms"] for _, normal, flood in rounds
            ),
        },
        "refused_p99_ms": medians["flood"]["refused_p99_ms"],
    }


def _ratio(rounds: Sequence[Sequence[Mapping[str, Any]]], flood: str, peak: str) -> float | None:
    return _median(many[flood] / best[peak] for best, _, many in rounds)


def _median(values: Any) -> float | None:
    known = [value for value in values if value is not None]
    return round(statistics.median(known), 3) if known else None


def _short(row: Mapping[str, Any]) -> str:
    told = (f"{k} {v:.1f}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items())
    return "  ".join(told)
