"""Speak to the person at the terminal, and hear that they want to stop.

A terminal that is gone (``make run | head``) never hurts what runs: its lines are dropped.
"""

import contextlib
import signal
import sys
import threading
import time
from types import FrameType

_SAME_WISH = 0.5  # make passes on a signal that the terminal has sent already


class StopAsked(BaseException):  # no Exception: nothing but main may take it for an error
    """Ctrl-C or SIGTERM, while nothing was stopping yet."""


def say(line: str) -> None:
    """Print one line of our own."""
    show(f"· {line}")


def show(line: str) -> None:
    """Print *line* as it is, at once."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


class Stops:
    """The wishes to stop: the first one interrupts, a later one makes the stopping hurry."""

    def __init__(self) -> None:
        self.hurry = threading.Event()
        self._asked_at: float | None = None
        self._is_stopping = False

    def listen(self) -> None:
        """Take over SIGINT and SIGTERM; from the main thread only."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._hear)

    def ignore(self) -> None:
        """Hear no more: all is stopped, and a late Ctrl-C must not turn that into a failure."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)

    def begin(self) -> None:
        """Note that the stopping has begun by itself: from now on a wish can only hasten it."""
        self._is_stopping = True

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        first, self._asked_at = self._asked_at is None, self._asked_at or now
        if not self._is_stopping:
            self._is_stopping = True
            raise StopAsked
        if first or now - self._asked_at > _SAME_WISH:
            self.hurry.set()
