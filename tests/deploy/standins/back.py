"""A back service that tells its environment; falls on SIGUSR1; may be told to drain for ever.

Or to wait, and to be ready when it gets SIGUSR2.
"""

import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import FrameType

from tests.deploy.standins import tell

WISH = os.environ.get("STANDIN_BACK")
ready = threading.Event()


class Probe(BaseHTTPRequestHandler):
    """Answers 200 once the service is ready, 503 before."""

    def do_GET(self) -> None:
        self.send_response(200 if ready.is_set() else 503)
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


def be_ready(_number: int, _frame: FrameType | None) -> None:
    ready.set()


def end(_number: int, _frame: FrameType | None) -> None:
    if WISH == "drain for ever":
        tell("back drains")
        return
    tell("back ends")
    sys.exit(0)


def fall(_number: int, _frame: FrameType | None) -> None:
    sys.exit(7)


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, fall)
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGUSR2, be_ready)
    if WISH != "wait":
        ready.set()
    probes = HTTPServer(("127.0.0.1", int(os.environ["UKETSUKE_PROBE_PORT"])), Probe)
    threading.Thread(target=probes.serve_forever, daemon=True).start()
    for name in sorted(os.environ):
        if name.startswith("UKETSUKE_"):
            tell(f"{name}={os.environ[name]}")
    tell(f"back is {os.getpid()}")
    while True:
        signal.pause()
