"""Tell a client where its job stands in the line, and when it may be done.

What that takes is heard from the workers, and read from the store at most once a second for
each pool, however many ask; a store that answers slowly is asked the less.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

import structlog

from front_service.prospects import NOTHING, Line, Prospect, Waiting, Workforce, after, seconds_of
from shared.contract.errors import Unavailable
from shared.contract.ids import JobId, TenantId
from shared.contract.job_types import Catalogue, JobType
from shared.contract.jobs import JobView, Submission
from shared.contract.presence import decode_beat
from shared.contract.states import State
from shared.runtime.clock import Clock
from shared.store.pool import Rejected
from shared.store.rows import InLine

log: Final = structlog.get_logger()

_FRESH: Final = 1.0  # seconds
_SHARE: Final = 50  # of its time the store is asked at the most: one part
_USABLE: Final = 5.0  # seconds; an older line says nothing of a job that has just come
_MOST: Final = 2_000  # jobs of one priority
_MOST_OF_A_KEY: Final = 200


class ReadsLine(Protocol):
    async def line(self, pool: str, most: int) -> Sequence[InLine]:
        """As ``Reads.line``."""

    async def before(
        self, tenant: TenantId, job_id: JobId, most: int
    ) -> Sequence[tuple[str, State]]:
        """As ``Reads.before``."""


class Outlook:
    """A service: it reads the line ahead for those who do not wait for it."""

    name = "outlook"

    def __init__(self, reads: ReadsLine, catalogue: Catalogue, clock: Clock) -> None:
        self._reads, self._catalogue, self._clock = reads, catalogue, clock
        self._force = Workforce()
        self._lines: dict[str, tuple[Line, float, float]] = {}  # when read, when to read again
        self._reading = {pool: asyncio.Lock() for pool in catalogue.pools}
        self._wanted: set[str] = set()
        self._wake = asyncio.Event()

    def hear(self, body: bytes) -> bool:
        """Take a message of the fan-out, and say whether it was for us."""
        beat = decode_beat(body)
        if beat is not None:
            self._force.hear(beat, self._clock.monotonic())
            self._force.forget(self._catalogue)
        return beat is not None

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            wanted, self._wanted = self._wanted, set()
            for pool in wanted:
                await self._line(pool)
            await asyncio.sleep(_FRESH)

    async def of(self, job: JobView) -> Prospect:
        """Say what may be said of *job*; trouble with the store only makes that less."""
        job_type = self._catalogue.get(job.type)
        if job_type is None or job.has_ended:
            return NOTHING
        match job.state:
            case State.QUEUED:
                return await self._of_queued(job, job_type)
            case State.SCHEDULED | State.RETRYING if job.due is not None:
                return Prospect(completion=self._from(job.due, 0, job_type))
            case State.RUNNING if job.attempt == 1 and job.started_at is not None:
                return Prospect(completion=self._from(job.started_at, 0, job_type))
            case _:
                return NOTHING

    def of_new(self, submission: Submission) -> Prospect:
        """Say it of a job that was accepted just now, without asking anybody."""
        if submission.delay or submission.run_at or submission.ordering_key is not None:
            return NOTHING
        pool, priority = submission.pool, submission.priority
        self._wanted.add(pool)
        self._wake.set()
        line, read_at, _ = self._lines.get(pool, (None, 0.0, 0.0))
        if line is None or self._clock.monotonic() - read_at > _USABLE:
            return NOTHING
        place = line.join(Waiting(submission.id, submission.tenant, submission.type), priority)
        if place is None:
            return NOTHING
        job_type = self._catalogue[submission.type]
        return self._at(line, submission.tenant, priority, place, job_type)

    async def _of_queued(self, job: JobView, job_type: JobType) -> Prospect:
        line = await self._line(job_type.pool)
        if line is None:
            return NOTHING
        place = line.place(job.id, job.priority)
        if place is None and job.ordering_key is not None:
            return await self._of_follower(job, job_type)
        if place is None:
            place = line.end(job.priority)
        if place is None:
            return NOTHING
        return self._at(line, job.tenant, job.priority, place, job_type)

    async def _of_follower(self, job: JobView, job_type: JobType) -> Prospect:
        """Say it of a job that waits for others of its ordering key."""
        try:
            before = await self._reads.before(job.tenant, job.id, _MOST_OF_A_KEY)
        except (Unavailable, Rejected):
            return NOTHING
        types: dict[str, int] = {}
        for name, _ in before:
            types[name] = types.get(name, 0) + 1
        seconds = seconds_of(types, self._force)
        running = sum(state in (State.RUNNING, State.CANCELLING) for _, state in before)
        return Prospect(
            position=1 + len(before) - running,
            completion=None
            if seconds is None
            else self._from(datetime.now(UTC), seconds, job_type),
        )

    def _at(
        self, line: Line, tenant: TenantId, priority: str, place: int, job_type: JobType
    ) -> Prospect:
        """Say it of a job that stands at *place* in its lane."""
        slots = self._slots(job_type)
        seconds = seconds_of(line.ahead(priority, place), self._force)
        return Prospect(
            position=line.position(tenant, priority, place),
            completion=None
            if seconds is None or not slots
            else self._from(line.at, seconds / slots, job_type),
        )

    def _from(self, moment: datetime, seconds: float, job_type: JobType) -> datetime | None:
        """Add to *moment* the wait and the attempt; ``None`` if that is past, or nobody works."""
        usual = self._force.usual(job_type.name)
        if usual is None or not self._slots(job_type):
            return None
        then = after(moment, seconds + usual)
        return then if then is not None and then >= datetime.now(UTC) else None

    def _slots(self, job_type: JobType) -> int:
        return self._force.slots(job_type.pool, job_type.name, self._clock.monotonic())

    async def _line(self, pool: str) -> Line | None:
        """Give the line of *pool*, read a moment ago by whoever asked first."""
        async with self._reading[pool]:
            line, _, again_at = self._lines.get(pool, (None, 0.0, 0.0))
            began = self._clock.monotonic()
            if line is not None and began < again_at:
                return line
            try:
                rows = await self._reads.line(pool, _MOST)
            except (Unavailable, Rejected) as error:
                log.warning("line not read", pool=pool, why=str(error))
                return None
            took = self._clock.monotonic() - began
            line = _line(rows)
            self._lines[pool] = line, began, began + max(_FRESH, took * _SHARE)
            return line


def _line(rows: Sequence[InLine]) -> Line:
    line = Line(at=datetime.now(UTC), lanes={}, most=_MOST)
    for row in rows:
        line.add(Waiting(row.id, row.tenant, row.type), row.priority)
    return line
