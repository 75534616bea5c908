"""Ask the process of this container whether it lives: ``python -m shared.runtime.healthcheck``.

Standard library only, for it runs every few seconds. Exits 0 if ``/livez`` answers 200, else 1.
"""

import os
import sys
from collections.abc import Mapping
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from typing import Final

_PATIENCE: Final = 2.0  # seconds
_NEAR: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  where one that listens is met


def is_alive(environment: Mapping[str, str]) -> bool:
    """Ask where *environment* lets the service listen for probes."""
    host = environment.get("UKETSUKE_PROBE_HOST") or "127.0.0.1"
    try:
        port = int(environment["UKETSUKE_PROBE_PORT"])
        with closing(HTTPConnection(_NEAR.get(host, host), port, timeout=_PATIENCE)) as line:
            line.request("GET", "/livez")
            return line.getresponse().status == 200  # noqa: PLR2004  OK
    except (KeyError, ValueError, OSError, HTTPException) as error:
        print(f"not alive: {error!r}", file=sys.stderr)  # noqa: T201  a command
        return False


if __name__ == "__main__":
    sys.exit(0 if is_alive(os.environ) else 1)
