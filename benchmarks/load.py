"""What every benchmark needs: a contender as processes, its CPU, and a load from `wrk`."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from deploy.local.processes import free_ports

_TICK = os.sysconf("SC_CLK_TCK")
_PATIENCE = 60.0
_NONE: Mapping[str, str] = {}
_ROOT = Path(__file__).parents[1]


class CannotMeasure(Exception):
    """A benchmark cannot run here; the text says what is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A contender: how it starts, where it listens, how a job is submitted and counted."""

    name: str
    url: str
    start: Sequence[Sequence[str]]
    submit: str
    body: Mapping[str, Any]
    finished_sql: str
    cwd: Path
    before: Sequence[Sequence[str]] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    ready: str = "/readyz"

    @property
    def address(self) -> str:
        return self.url + self.submit


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one run of wrk did."""

    accepted: int
    refused: int
    p99: str


def read_spec(file: Path, names: Mapping[str, str]) -> Spec:
    """Read a contender's JSON; ``$NAME`` is replaced, ``cwd`` is relative to the project."""
    text = file.read_text(encoding="utf-8")
    for name, value in names.items():
        text = text.replace(f"${name}", json.dumps(value)[1:-1])
    values = json.loads(text)
    values["cwd"] = _ROOT / values["cwd"]
    return Spec(**values)


def apart(spec: Spec) -> Spec:
    """Put the front on a port of its own: another bench of this machine may have the usual one."""
    port = str(free_ports(1)[0])
    return replace(spec, url=f"http://127.0.0.1:{port}", env={**spec.env, "UKETSUKE_PORT": port})


@contextmanager
def running(spec: Spec, logs: Path) -> Iterator[list[int]]:
    """Run a contender; gives the process groups whose CPU counts."""
    env = {**os.environ, **spec.env}
    for command in spec.before:
        subprocess.run(command, cwd=spec.cwd, env=env, capture_output=True, check=False)
    children = []
    try:
        for number, command in enumerate(spec.start):
            name = re.sub(r"[^a-z]+", "-", spec.name.lower())
            with (logs / f"{name}-{number}.log").open("ab") as log:
                children.append(
                    subprocess.Popen(
                        command,
                        cwd=spec.cwd,
                        env=env,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
                )
        _await_ready(spec, children, logs)
        yield [child.pid for child in children]
    finally:
        for child in children:
            _stop(child)


def cpu_seconds(groups: Sequence[int]) -> float:
    """Add up user and system time of all processes in *groups*, ended children included."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="ascii", errors="replace").rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[2]) in groups:
            ticks += sum(map(int, fields[11:15]))
    return ticks / _TICK


def press(url: str, script: Path, *, seconds: float, connections: int = 64) -> Load:
    """Keep *connections* busy with requests for that long."""
    program = shutil.which("wrk")
    if program is None:
        raise CannotMeasure("wrk is missing: apt-get install wrk")
    argv = [program, "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency", "-s", str(script)]
    told = subprocess.run([*argv, url], capture_output=True, text=True, check=True).stdout
    sent = _found(r"(\d+) requests in", told)
    refused = _found(r"Non-2xx or 3xx responses: (\d+)", told)
    p99 = re.search(r"99%\s+(\S+)", told)
    return Load(
        accepted=int(sent or 0) - int(refused or 0),
        refused=int(refused or 0),
        p99=p99[1] if p99 else "?",
    )


def post_script(
    body: Mapping[str, Any], folder: Path, *, keys: int = 0, fields: Mapping[str, str] = _NONE
) -> Path:
    """Write wrk's script for a submit of *body*; with *keys*, an ordering key of so many each."""
    named = {"Content-Type": "application/json", **fields}
    lines = ['wrk.method = "POST"']
    lines += [f'wrk.headers["{name}"] = "{value}"' for name, value in named.items()]
    text = json.dumps(body)
    if keys:
        start = text[:-1] + ', "job": {"orderingKey": "key-'
        lines += [
            "function request()",
            f'  local body = [==[{start}]==] .. math.random({keys}) .. [==["}}}}]==]',
            "  return wrk.format(nil, nil, nil, body)",
            "end",
        ]
    else:
        lines.append(f"wrk.body = [==[{text}]==]")
    script = folder / f"post-{keys}.lua"
    script.write_text("\n".join(lines), encoding="utf-8")
    return script


def post(spec: Spec) -> dict[str, Any]:
    """Submit one job and give the answer."""
    request = urllib.request.Request(  # noqa: S310  an address of our own
        spec.address,
        json.dumps(spec.body).encode(),
        {"Content-Type": "application/json"},
        method="POST",
    )
    return _answer(request)


def status_of(spec: Spec, ticket: Mapping[str, Any]) -> str:
    return str(_answer(urllib.request.Request(spec.url + ticket["statusUrl"]))["status"])  # noqa: S310  an address of our own


def _answer(request: urllib.request.Request) -> dict[str, Any]:
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  an address of our own
        document: dict[str, Any] = json.loads(answer.read())
        return document


def _await_ready(spec: Spec, children: Sequence["subprocess.Popen[bytes]"], logs: Path) -> None:
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            urllib.request.urlopen(spec.url + spec.ready, timeout=2).close()  # noqa: S310  ours
            break
        except OSError as error:
            if time.monotonic() > end or any(child.poll() is not None for child in children):
                raise CannotMeasure(f"{spec.name} did not start; see {logs}") from error
            time.sleep(0.2)
    time.sleep(3)  # for its workers, which answer nowhere


def _stop(child: "subprocess.Popen[bytes]") -> None:
    try:
        os.killpg(child.pid, signal.SIGTERM)
        child.wait(20)
    except ProcessLookupError:
        child.wait()
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _found(pattern: str, text: str) -> str | None:
    match = re.search(pattern, text)
    return match[1] if match else None
