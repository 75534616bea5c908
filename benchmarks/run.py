"""``make bench``: measure on a private, durable stack, and keep the figures as one JSON line.

``python -m benchmarks.run [compare] [keys] [store] [latency] [overload] [tenants] [sockets]
[scale] [footprint]`` measures what is named, else all.
"""

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.compare import compare, install_peers, ours, peers
from benchmarks.footprint import measure_footprint
from benchmarks.keys import measure_keys
from benchmarks.latency import measure_latency
from benchmarks.load import CannotMeasure, Spec
from benchmarks.overload import measure_overload
from benchmarks.scale import measure_scale
from benchmarks.sockets import measure_sockets
from benchmarks.store_size import measure_store_size
from benchmarks.tenants import measure_tenants
from deploy.local.processes import CannotStart
from deploy.local.record import local_folder
from deploy.local.stack import Stack, open_stack

_RESULTS = Path(__file__).parent / "results" / "runs.jsonl"

Part = Callable[[Spec, Stack, Path, argparse.Namespace], dict[str, Any]]


def main() -> int:
    options = _options()
    folder = local_folder() / "bench"
    try:
        with open_stack(folder, tcp=True, say=print) as stack:
            return _measure(options, stack, folder / "logs")
    except (CannotStart, CannotMeasure) as error:
        print(error, file=sys.stderr)
        return 1


def _measure(options: argparse.Namespace, stack: Stack, logs: Path) -> int:
    logs.mkdir(exist_ok=True)
    spec = ours(_names(stack))
    told: dict[str, Any] = {"at": datetime.now(UTC).isoformat(timespec="seconds"), **_machine()}
    for name in options.parts or list(_PARTS):
        print(f"{name}:", flush=True)
        told[name] = _PARTS[name](spec, stack, logs, options)
    line = json.dumps(told)
    print(line)
    _RESULTS.parent.mkdir(exist_ok=True)
    with _RESULTS.open("a", encoding="utf-8") as results:
        results.write(line + "\n")
    return 0


def _compare(spec: Spec, stack: Stack, logs: Path, options: argparse.Namespace) -> dict[str, Any]:
    others = peers(install_peers(logs.parent / "peers"))
    return compare(
        [spec, *_with_env(others, stack)],
        _database(stack),
        logs,
        rounds=options.rounds,
        seconds=options.seconds,
    )


def _keys(spec: Spec, stack: Stack, logs: Path, options: argparse.Namespace) -> dict[str, Any]:
    return measure_keys(
        spec, _database(stack), logs, rounds=options.rounds, seconds=options.seconds
    )


def _store(spec: Spec, stack: Stack, logs: Path, options: argparse.Namespace) -> dict[str, Any]:
    return measure_store_size(
        spec, _database(stack), logs, rounds=options.rounds, seconds=options.seconds
    )


def _latency(_: Spec, stack: Stack, logs: Path, options: argparse.Namespace) -> dict[str, Any]:
    folder = logs / "latency"
    folder.mkdir(exist_ok=True)
    return asyncio.run(measure_latency(stack, folder, seconds=options.seconds))


def _sockets(_: Spec, stack: Stack, logs: Path, options: argparse.Namespace) -> dict[str, Any]:
    folder = logs / "sockets"
    folder.mkdir(exist_ok=True)
    return asyncio.run(
        measure_sockets(
            stack,
            folder,
            sockets=options.sockets,
            rounds=options.rounds,
            seconds=2 * options.seconds,
        )
    )


def _overload(spec: Spec, stack: Stack, logs: Path, options: argparse.Namespace) -> dict[str, Any]:
    return measure_overload(
        spec, _database(stack), logs, rounds=options.rounds, seconds=options.seconds
    )


def _tenants(spec: Spec, stack: Stack, logs: Path, options: argparse.Namespace) -> dict[str, Any]:
    return measure_tenants(
        spec, _database(stack), logs, rounds=options.rounds, seconds=options.seconds
    )


def _scale(_: Spec, stack: Stack, logs: Path, options: argparse.Namespace) -> dict[str, Any]:
    return asyncio.run(
        measure_scale(stack, logs / "scale", rounds=options.rounds, seconds=options.seconds)
    )


def _footprint(_: Spec, stack: Stack, logs: Path, _options: argparse.Namespace) -> dict[str, Any]:
    folder = logs / "footprint"
    folder.mkdir(exist_ok=True)
    return asyncio.run(measure_footprint(stack, folder))


_PARTS: dict[str, Part] = {
    "compare": _compare,
    "keys": _keys,
    "store": _store,
    "latency": _latency,
    "overload": _overload,
    "tenants": _tenants,
    "sockets": _sockets,
    "scale": _scale,
    "footprint": _footprint,
}


def _with_env(specs: list[Spec], stack: Stack) -> list[Spec]:
    return [replace(spec, env=_names(stack)) for spec in specs]


def _names(stack: Stack) -> dict[str, str]:
    return {
        "DATABASE_URL": _database(stack),
        "AMQP_URL": stack.amqp_url,
        "PYTHON": sys.executable,
    }


def _database(stack: Stack) -> str:
    return stack.database_tcp_url or stack.database_url


def _machine() -> dict[str, Any]:
    git = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return {
        "commit": git.stdout.strip() or "unknown",
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(_PARTS)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--sockets", type=int, default=10_000, help="half of them never read")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(_PARTS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    return options


if __name__ == "__main__":
    sys.exit(main())
