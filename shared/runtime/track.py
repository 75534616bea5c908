"""The TrackID of what is being done right now: ambient, so that every log line bears it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from shared.contract.ids import TrackId
from shared.runtime.clock import random_bytes

_track_id: Final[ContextVar[TrackId | None]] = ContextVar("track_id", default=None)


def fresh_track_id() -> TrackId:
    return TrackId(random_bytes(12).hex())


def current_track_id() -> TrackId | None:
    return _track_id.get()


@contextmanager
def tracking(track_id: TrackId) -> Iterator[None]:
    """Mark what is said inside this block: log lines, messages, outgoing requests."""
    token = _track_id.set(track_id)
    try:
        yield
    finally:
        _track_id.reset(token)


def follow(track_id: TrackId) -> None:
    """Mark the rest of this task: for a task that serves one request or one job."""
    _track_id.set(track_id)
