"""Uketsuke beside its peers on the same work: POST a 1 kB job, run a no-op, store the result.

Every contender uses the same PostgreSQL and the same RabbitMQ node, one front process and one
worker process, and is measured in turn (A B C, A B C, …), so that a machine whose speed drifts
treats all alike. What counts are the ratios of one run.
"""

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import asyncpg

from benchmarks.load import (
    Spec,
    cpu_seconds,
    post,
    post_script,
    press,
    read_spec,
    running,
    status_of,
)

_HERE = Path(__file__).parent
_LONE_JOBS = 60
_LOOK = 0.002  # seconds between two looks at a lone job
_STANDSTILL = 10.0  # seconds without a finished job: what is left will not finish
FIGURES = ("accepted_per_s", "completed_per_s", "cpu_ms_per_job", "latency_ms_p50")
_LESS_IS_BETTER = frozenset({"cpu_ms_per_job", "latency_ms_p50"})


def ours(names: Mapping[str, str]) -> Spec:
    return read_spec(_HERE / "contender.json", names)


def peers(python: str) -> list[Spec]:
    """Describe the peers, which are installed for *python*."""
    uvicorn = [python, "-m", "uvicorn", "--no-access-log", "--log-level", "warning", "--port"]
    taskiq = [python, "-m", "taskiq", "worker", "--workers", "1", "--max-async-tasks", "100"]
    celery = [python, "-m", "celery", "-A", "celery_app", "worker", "-c", "2"]
    app = "procrastinate_app"
    procrastinate = [python, "-m", "procrastinate", f"--app={app}.queue"]
    return [
        _peer(
            "FastAPI + taskiq-aio-pika",
            8481,
            [
                [*uvicorn, "8481", "taskiq_api:app"],
                [*taskiq, "--log-level", "WARNING", "taskiq_app:broker"],
            ],
            "select count(*) from taskiq_results",
        ),
        _peer(
            "FastAPI + Celery",
            8482,
            [
                [*uvicorn, "8482", "celery_api:app"],
                [*celery, "-Q", "celery_bench", "-l", "warning"],
            ],
            "select count(*) from celery_taskmeta where status = 'SUCCESS'",
        ),
        _peer(
            "FastAPI + Procrastinate",
            8483,
            [
                [*uvicorn, "8483", f"{app}:app"],
                [*procrastinate, "worker", "-q", "bench", "--concurrency", "100"],
            ],
            "select count(*) from procrastinate_jobs where status = 'succeeded'",
            before=[[*procrastinate, "schema", "--apply"]],
        ),
    ]


def install_peers(venv: Path) -> str:
    """Install the peers beside us, never among our own dependencies; give their Python."""
    python = venv / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    wanted = _HERE / "peers" / "requirements.txt"
    subprocess.run([python, "-m", "pip", "install", "-q", "-r", wanted], check=True)
    return str(python)


def compare(
    specs: Sequence[Spec], database_url: str, folder: Path, *, rounds: int, seconds: float
) -> dict[str, Any]:
    """Measure all in turn; *specs* begins with ours. Gives medians and the ratios to the best."""
    rows: dict[str, list[dict[str, Any]]] = {spec.name: [] for spec in specs}
    for number in range(1, rounds + 1):
        for spec in specs:
            figures = asyncio.run(_measure(spec, database_url, folder, seconds))
            rows[spec.name].append(figures)
            print(f"  round {number}: {spec.name:28}", _short(figures), flush=True)
    medians = {
        name: {key: round(statistics.median(row[key] for row in told), 3) for key in FIGURES}
        for name, told in rows.items()
    }
    mine, *others = medians.values()
    return {
        "medians": medians,
        "unfinished": sum(row["unfinished"] for row in rows[specs[0].name]),
        "ratio_to_best_peer": {key: _ratio(key, mine, others) for key in FIGURES if others},
    }


def lone_job_ms(spec: Spec) -> float:
    """Submit one job and measure from its answer until its status says completed."""
    ticket = post(spec)
    begun = time.perf_counter()
    while status_of(spec, ticket) != "completed":
        if time.perf_counter() - begun > 30:
            raise TimeoutError(f"{spec.name}: a lone job did not finish")
        time.sleep(_LOOK)
    return (time.perf_counter() - begun) * 1000


async def finish_all(
    database: "asyncpg.Connection[Any]", spec: Spec, before: int, wanted: int
) -> tuple[int, float]:
    """Wait until *wanted* more jobs are finished, or none is any more; when the last one was."""
    done, last, moved = 0, -1, time.monotonic()
    while done < wanted and time.monotonic() - moved < _STANDSTILL:
        done = int(await database.fetchval(spec.finished_sql)) - before
        if done != last:
            last, moved = done, time.monotonic()
        await asyncio.sleep(0.1)
    return done, moved


async def _measure(spec: Spec, url: str, folder: Path, seconds: float) -> dict[str, Any]:
    database = await asyncpg.connect(url)
    try:
        with running(spec, folder) as groups:
            lone = [await asyncio.to_thread(lone_job_ms, spec) for _ in range(_LONE_JOBS)]
            before = int(await database.fetchval(spec.finished_sql))
            cpu, begun = cpu_seconds(groups), time.monotonic()
            script = post_script(spec.body, folder)
            load = await asyncio.to_thread(press, spec.address, script, seconds=seconds)
            done, at = await finish_all(database, spec, before, load.accepted)
            spent = cpu_seconds(groups) - cpu
    finally:
        await database.close()
    return {
        "accepted_per_s": load.accepted / seconds,
        "completed_per_s": done / (at - begun),
        "cpu_ms_per_job": 1000 * spent / max(1, done),
        "latency_ms_p50": statistics.median(lone),
        "accept_p99": load.p99,
        "refused": load.refused,
        "unfinished": max(0, load.accepted - done),
    }


def _peer(
    name: str,
    port: int,
    start: Sequence[Sequence[str]],
    finished_sql: str,
    before: Sequence[Sequence[str]] = (),
) -> Spec:
    return Spec(
        name=name,
        url=f"http://127.0.0.1:{port}",
        start=start,
        before=before,
        submit="/jobs",
        body={"payload": {"text": "b" * 900}},
        finished_sql=finished_sql,
        cwd=_HERE / "peers",
        ready="/openapi.json",
    )


def _ratio(key: str, mine: Mapping[str, float], others: Sequence[Mapping[str, float]]) -> float:
    best = (min if key in _LESS_IS_BETTER else max)(other[key] for other in others)
    return round(mine[key] / best, 3)


def _short(figures: Mapping[str, Any]) -> str:
    told = (f"{k} {v:.2f}" if isinstance(v, float) else f"{k} {v}" for k, v in figures.items())
    return "  ".join(told)
