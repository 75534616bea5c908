"""Decide which frames a client gets of what the store says about a job.

Pure. Each stored event is told once and in order; between two events only the newest progress
counts. What is older than what was told already says nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shared.contract.events import JobEvent
from shared.contract.jobs import JobView
from shared.contract.status import dump, frame, status_document


@dataclass(frozen=True, slots=True)
class Look:
    """What the store said of one job: how it stands, and its events after some number."""

    job: JobView
    events: Sequence[JobEvent] = ()
    _bodies: dict[int | None, bytes] = field(default_factory=dict, repr=False, compare=False)

    def body(self, event: JobEvent | None = None) -> bytes:
        """Write the job as it was after *event*, or as it is now: once for all who watch it."""
        name = None if event is None else event.sequence
        body = self._bodies.get(name)
        if body is None:
            content = status_document(self.job) if event is None else frame(self.job, event)
            body = self._bodies[name] = dump(content)
        return body


@dataclass(frozen=True, slots=True)
class Frame:
    """One status document to send; *sequence* is ``None`` for what cannot be resumed from."""

    body: bytes
    sequence: int | None = None


class Story:
    """What one client was told of one job so far."""

    def __init__(self) -> None:
        self._told = 0
        self._told_at: datetime | None = None
        self.is_over = False
        self.is_behind = False  # events are stored that the last look did not bring

    def begin(self, look: Look, after: int | None) -> list[Frame]:
        """Open with what was missed since *after*; else with the job as it is now."""
        if after is not None and after < look.job.sequence:
            self._told = after
            return self.go_on(look)
        self._note(look, look.job.sequence)
        return [Frame(look.body(), look.job.sequence)]

    def go_on(self, look: Look) -> list[Frame]:
        """Tell what is new in *look*."""
        if look.job.sequence < self._told:
            return []
        frames = list(self._events(look))
        if not frames and self._is_progress(look):
            frames = [Frame(look.body())]
        self._note(look, self._told)
        return frames

    def _events(self, look: Look) -> Iterator[Frame]:
        for event in look.events:
            if event.sequence == self._told + 1:
                self._told = event.sequence
                yield Frame(look.body(event), event.sequence)

    def _is_progress(self, look: Look) -> bool:
        is_newer = self._told_at is not None and look.job.updated_at > self._told_at
        return is_newer and look.job.sequence == self._told

    def _note(self, look: Look, told: int) -> None:
        self._told = told
        self.is_behind = told < look.job.sequence
        if not self.is_behind:
            self._told_at = look.job.updated_at
            self.is_over = look.job.has_ended

    @property
    def told(self) -> int:
        """The number of the last event that was told."""
        return self._told
