"""A front service that is ready at once, and says when it ends."""

import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import FrameType

from tests.deploy.standins import tell


class Ready(BaseHTTPRequestHandler):
    """Answers 200 to everything."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


def end(_number: int, _frame: FrameType | None) -> None:
    tell("front ends")
    sys.exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, end)
    with HTTPServer(("127.0.0.1", int(os.environ["UKETSUKE_PORT"])), Ready) as server:
        server.serve_forever()
