"""A stand-in for the accounting system of somebody else: slow, busy, and now and then gone.

    python examples/invoices/ledger.py

Every third request is refused, and of every fifth the answer is lost after the booking was made.
It knows idempotency keys, so that nothing is booked twice.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from threading import Lock
from typing import Final

_PORT: Final = 8765


class Ledger(ThreadingHTTPServer):
    """Serves on loopback; *loud*: tells each booking on the terminal."""

    daemon_threads = True

    def __init__(self, port: int = _PORT, *, loud: bool = True) -> None:
        super().__init__(("127.0.0.1", port), _Desk)
        self.bookings: list[tuple[str, int]] = []
        self._keys: set[str] = set()
        self._requests, self._lock, self._loud = count(1), Lock(), loud

    def take(self, number: str, cents: int, key: str) -> int | None:
        """Book, and say the HTTP status of the answer; ``None`` if it gets lost."""
        with self._lock:
            request = next(self._requests)
            if request % 3 == 0:
                return self._tell(503, number, "busy, come back later")
            if key in self._keys:
                return self._tell(200, number, "was booked before")
            self._keys.add(key)
            self.bookings.append((number, cents))
            if request % 5 == 0:
                self._tell(201, number, "booked, but the answer gets lost")
                return None
            return self._tell(201, number, "booked")

    def _tell(self, status: int, number: str, what: str) -> int:
        if self._loud:
            print(f"{number}: {what}", flush=True)
        return status


class _Desk(BaseHTTPRequestHandler):
    server: Ledger

    def do_PUT(self) -> None:  # the name that http.server looks for
        length = int(self.headers.get("Content-Length", "0"))
        entry = json.loads(self.rfile.read(length))
        number = self.path.removeprefix("/bookings/")
        status = self.server.take(number, entry["cents"], self.headers["Idempotency-Key"])
        if status is None:
            self.close_connection = True
            return
        self.send_response(status)
        if status == 503:  # noqa: PLR2004
            self.send_header("Retry-After", "1")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing: the ledger itself tells what matters."""


if __name__ == "__main__":
    print(f"The ledger listens on http://127.0.0.1:{_PORT}; Ctrl-C ends it.", flush=True)
    try:
        Ledger().serve_forever()
    except KeyboardInterrupt:
        sys.exit(0)
