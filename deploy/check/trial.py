"""Run what an image holds as a cluster would: read-only, as its own user, as process 1.

Root only. The root file system is mounted read-only in a namespace of its own, with an empty /tmp.
"""

import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from deploy.check.builder import Config
from deploy.local import processes

_STARTS_WITHIN: Final = 30.0
_ENDS_WITHIN: Final = 20.0
_CANNOT_START: Final = 2
_ROOM: Final = """
root=$0 user=$1; shift
mount --bind "$root" "$root" && mount -o remount,bind,ro "$root" &&
mount -t tmpfs -o size=256m,mode=1777 tmp "$root/tmp" && mount -t proc proc "$root/proc" &&
mount -t tmpfs -o size=64m,mode=1777 blobs "$root/var/lib/uketsuke/blobs" &&
mount --rbind /dev "$root/dev" && exec chroot --userspec="$user" "$root" "$@"
"""
_KEYS: Final = ("python", "-m", "uketsuke", "keys", "list")
_HEALTHCHECK: Final = ("python", "-m", "shared.runtime.healthcheck")
_NOWHERE: Final = {
    "UKETSUKE_DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none",
    "UKETSUKE_AMQP_URL": "amqp://nobody@127.0.0.1:9/",
}


def finds(root: Path, name: str) -> bool:
    """Tell whether an image has a program of that name in one of its usual places."""
    places = ("bin", "usr/bin", "usr/local/bin", "opt/front/bin", "opt/back/bin")
    return any((root / place / name).exists() for place in places)


def refuses_without_settings(root: Path, config: Config) -> str:
    """Start it with nothing set; answer what is wrong with the way it refuses."""
    asked = subprocess.run(
        _inside(root, config, {}, config.command),
        check=False,
        capture_output=True,
        text=True,
        timeout=_STARTS_WITHIN,
    )
    said = asked.stdout + asked.stderr
    if asked.returncode == _CANNOT_START and "UKETSUKE_DATABASE_URL" in said:
        return ""
    return f"it ended with {asked.returncode}: {said[-1_000:]}"


def makes_keys(root: Path, config: Config) -> str:
    """Ask for the command of an administrator's pod, with no database; answer what went wrong."""
    asked = subprocess.run(
        _inside(root, config, {}, _KEYS),
        check=False,
        capture_output=True,
        text=True,
        timeout=_STARTS_WITHIN,
    )
    if asked.returncode == _CANNOT_START and "UKETSUKE_DATABASE_URL" in asked.stderr:
        return ""
    return f"it ended with {asked.returncode}: {asked.stderr[-1_000:]}"


def lives(root: Path, config: Config) -> str:
    """Start it without any server, ask its health check, end it; answer what went wrong."""
    settings = _NOWHERE | {f"UKETSUKE_{name}": str(_free_port()) for name in ("PORT", "PROBE_PORT")}
    service = subprocess.Popen(
        _inside(root, config, settings, config.command),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        check = _inside(root, config, settings, _HEALTHCHECK)
        is_up = processes.await_truth(
            lambda: subprocess.run(check, check=False, capture_output=True).returncode == 0,
            _STARTS_WITHIN,
            every=0.5,
        )
        first = _process_one(service.pid)
        began = time.monotonic()
        if first is not None:
            processes.signal_all([first], signal.SIGTERM)
        said, _ = service.communicate(timeout=_ENDS_WITHIN)
    except subprocess.TimeoutExpired:
        service.kill()
        service.wait()
        return f"it did not end within {_ENDS_WITHIN:.0f} s of SIGTERM"
    if not is_up or first is None or service.returncode != 0:
        return f"alive: {is_up}, exit code {service.returncode}: {said[-1_500:]}"
    took = time.monotonic() - began
    return "" if took < _ENDS_WITHIN else f"it took {took:.1f} s"


def _inside(
    root: Path, config: Config, settings: Mapping[str, str], argv: Sequence[str]
) -> Sequence[str]:
    """Write the command that runs *argv* in *root*, as process 1 of a namespace of its own."""
    words = [*config.environment, *(f"{name}={value}" for name, value in settings.items())]
    spaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", _ROOM]
    return [*spaces, str(root), config.user, "env", "-i", "-C", config.folder, *words, *argv]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _process_one(unshare: int) -> int | None:
    """Find the one child of ``unshare``: the service, under the number that we know it by."""
    try:
        children = Path(f"/proc/{unshare}/task/{unshare}/children").read_text().split()
    except OSError:
        return None
    return int(children[0]) if children else None
