"""Reckon when a job may be done, from the line it stands in and the workers that are there.

Pure. It is an estimate: from what attempts of each type usually take, shared out among the slots
of the workers that live. Where one of these is not known there is none.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from shared.contract.ids import JobId, TenantId
from shared.contract.jobs import Priority
from shared.contract.presence import EVERY, Beat

LONGEST_SILENCE: Final = 5 * EVERY
"""Seconds without a beat after which a worker is taken for gone."""

SHARES: Final[Mapping[str, int]] = {Priority.HIGH: 6, Priority.NORMAL: 3, Priority.LOW: 1}
_MOST_WORKERS: Final = 1_000
_MARK: Final = 64  # jobs
_FARTHEST: Final = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Prospect:
    """What may be said of a job's future; ``None``: nothing."""

    position: int | None = None
    completion: datetime | None = None

    @property
    def members(self) -> dict[str, Any]:
        """Give what a document says of it."""
        told = {"queuePosition": self.position, "estimatedCompletion": self.completion}
        return {name: value for name, value in told.items() if value is not None}


NOTHING: Final = Prospect()


class Workforce:
    """The workers that were heard of, and how long attempts take them."""

    def __init__(self) -> None:
        self._beats: dict[str, tuple[Beat, float]] = {}
        self._usual: dict[str, float] = {}

    def hear(self, beat: Beat, now: float) -> None:
        """Take note of *beat*. What is usual for a type outlives the worker that said it."""
        self._beats.pop(beat.worker, None)  # the one heard of last stands last
        self._beats[beat.worker] = beat, now
        if len(self._beats) > _MOST_WORKERS:
            del self._beats[next(iter(self._beats))]
        told: dict[str, list[float]] = {}
        for one in self._living(now):
            for name, seconds in one.seconds.items():
                told.setdefault(name, []).append(seconds)
        self._usual |= {name: sum(said) / len(said) for name, said in told.items()}

    def forget(self, known: Iterable[str]) -> None:
        """Drop what is said of types that are not *known* here."""
        kept = frozenset(known)
        self._usual = {name: usual for name, usual in self._usual.items() if name in kept}

    def slots(self, pool: str, job_type: str, now: float) -> int:
        """Count the slots in which a job of *job_type* could run."""
        return sum(
            beat.slots
            for beat in self._living(now)
            if pool in beat.pools and job_type in beat.types
        )

    def usual(self, job_type: str) -> float | None:
        """Say how many seconds an attempt usually takes; ``None`` if none was ever seen."""
        return self._usual.get(job_type)

    def _living(self, now: float) -> list[Beat]:
        return [beat for beat, at in self._beats.values() if now - at <= LONGEST_SILENCE]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job that waits for a worker."""

    id: JobId
    tenant: TenantId
    type: str


class Lane:
    """What waits with one priority, first come first.

    Every submit asks it, so whatever it is asked takes the same time however long it is: each job
    knows how many of its tenant stand before it, and types are summed up at every mark.
    """

    def __init__(self) -> None:
        self._jobs: list[Waiting] = []
        self._before: list[int] = []  # of the same tenant
        self._of_tenant: dict[TenantId, int] = {}
        self._types: dict[str, int] = {}
        self._marks: list[dict[str, int]] = []

    def __len__(self) -> int:
        return len(self._jobs)

    def append(self, job: Waiting) -> None:
        if len(self._jobs) % _MARK == 0:
            self._marks.append(self._types.copy())
        self._jobs.append(job)
        before = self._of_tenant.get(job.tenant, 0)
        self._before.append(before)
        self._of_tenant[job.tenant] = before + 1
        self._types[job.type] = self._types.get(job.type, 0) + 1

    def stands(self, job_id: JobId, place: int) -> bool:
        """Say whether it is this job that stands at *place*."""
        return place < len(self._jobs) and self._jobs[place].id == job_id

    def of_tenant(self, tenant: TenantId, place: int) -> int:
        """Count the jobs of *tenant* before *place*."""
        if place >= len(self._jobs):
            return self._of_tenant.get(tenant, 0)
        if self._jobs[place].tenant == tenant:
            return self._before[place]
        return sum(job.tenant == tenant for job in self._jobs[:place])

    def types(self, most: int) -> Mapping[str, int]:
        """Count by type the first *most* jobs."""
        if most >= len(self._jobs):
            return self._types
        counted = self._marks[most // _MARK].copy()
        for job in self._jobs[most - most % _MARK : most]:
            counted[job.type] = counted.get(job.type, 0) + 1
        return counted


@dataclass(slots=True)
class Line:
    """What waits for the workers of one pool, as it was read *at* some moment.

    Of each priority *most* jobs were read at the most; what comes after these is not known.
    """

    at: datetime
    lanes: dict[str, Lane]
    most: int
    _places: dict[JobId, int] = field(default_factory=dict)

    def add(self, job: Waiting, priority: str) -> None:
        """Put a job at the end of its lane."""
        lane = self.lanes.get(priority)
        if lane is None:
            lane = self.lanes[priority] = Lane()
        self._places[job.id] = len(lane)
        lane.append(job)

    def place(self, job_id: JobId, priority: str) -> int | None:
        """Say how many stand before the job in its lane; ``None`` if it was not seen there."""
        place, lane = self._places.get(job_id), self.lanes.get(priority)
        if place is None or lane is None:
            return None
        return place if lane.stands(job_id, place) else None

    def end(self, priority: str) -> int | None:
        """Say how many stand in a lane; ``None`` if there are more than were read."""
        length = len(self.lanes.get(priority, ()))
        return length if length < self.most else None

    def position(self, tenant: TenantId, priority: str, place: int) -> int:
        """Count only the tenant's own jobs: what others have waiting is not its business."""
        lane = self.lanes.get(priority)
        return 1 if lane is None else 1 + lane.of_tenant(tenant, place)

    def join(self, job: Waiting, priority: str) -> int | None:
        """Put a job that has come since at the end of its lane; answer as ``place``."""
        if self.end(priority) is not None and job.id not in self._places:
            self.add(job, priority)
        return self.place(job.id, priority)

    def ahead(self, priority: str, place: int) -> Mapping[str, int]:
        """Count by type what is likely to start before: of other lanes, by their shares."""
        share = SHARES.get(priority, 1)
        before: dict[str, int] = {}
        for other, lane in self.lanes.items():
            most = place if other == priority else round(place * SHARES.get(other, 1) / share)
            for name, count in lane.types(most).items():
                before[name] = before.get(name, 0) + count
        return before


def seconds_of(types: Mapping[str, int], force: Workforce) -> float | None:
    """Add up what the attempts of these types usually take; ``None`` if one is not known."""
    total = 0.0
    for name, count in types.items():
        usual = force.usual(name)
        if usual is None:
            return None
        total += count * usual
    return total


def after(moment: datetime, seconds: float) -> datetime | None:
    """Round up to a whole second; what is farther than anybody plans is not known."""
    if seconds > _FARTHEST.total_seconds():
        return None
    then = moment + timedelta(seconds=seconds)
    return then.replace(microsecond=0) + timedelta(seconds=then.microsecond > 0)
