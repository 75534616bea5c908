"""Prometheus' promtool, for the rules: the one on the path, else from Debian's package, unpacked.

Standard library only; nothing is installed.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from deploy.local import record
from deploy.local.deb_packages import CannotFetch, can_fetch, unpack
from deploy.local.record import Say

HOW = "There is no promtool. On Debian: `apt-get install prometheus`."


def find_promtool(environ: Mapping[str, str] = os.environ) -> str | None:
    """Name the program; ``None`` if there is none."""
    fetched = _folder() / "usr" / "bin" / "promtool"
    return shutil.which("promtool", path=environ.get("PATH")) or (
        str(fetched) if fetched.is_file() else None
    )


def ensure_promtool(say: Say, environ: Mapping[str, str] = os.environ) -> str | None:
    """As `find_promtool`, and fetch it in CI; what fails is told, and tests will say so."""
    found = find_promtool(environ)
    return found if found or not environ.get("CI") else fetch_promtool(say, environ)


def fetch_promtool(say: Say, environ: Mapping[str, str] = os.environ) -> str | None:
    """Find it, or fetch it; ``None`` where that cannot be."""
    found = find_promtool(environ)
    if found or not can_fetch():
        return found
    say("fetching promtool, about 40 MB, for alert rules …")
    try:
        unpack("prometheus", family="prometheus", into=_folder())
    except CannotFetch as error:
        say(f"promtool: {error}")
    return find_promtool(environ)


def _folder() -> Path:
    return record.local_folder() / "promtool"
