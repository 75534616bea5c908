"""What a caller may wish of a job that is there: to stop it, to replay it, to free its key."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, Protocol

import structlog

from front_service.lookup import Lookup
from shared.contract.errors import AlreadyEnded, HoldsNoKey, NotReplayable
from shared.contract.events import encode_news
from shared.contract.ids import JobId, TenantId
from shared.contract.jobs import JobView
from shared.contract.states import State
from shared.contract.status import status_document
from shared.store.intake import Changed
from shared.store.rows import OutboxRow

log: Final = structlog.get_logger()


class Changes(Protocol):
    async def cancel(self, tenant: TenantId, job_id: JobId) -> Changed | None:
        """As ``Intake.cancel``."""

    async def replay(
        self, tenant: TenantId, job_id: JobId, *, ended_by: datetime | None = None
    ) -> Changed | None:
        """As ``Intake.replay``."""

    async def release(self, tenant: TenantId, job_id: JobId) -> Sequence[OutboxRow] | None:
        """As ``Intake.release``."""


class Tells(Protocol):
    def offer(self, body: bytes) -> None:
        """As ``FanOut.offer``."""


class Sends(Protocol):
    def send(self, rows: Iterable[OutboxRow]) -> None:
        """As ``Post.send``."""


class Control:
    def __init__(self, *, lookup: Lookup, intake: Changes, post: Sends, fan_out: Tells) -> None:
        self._lookup, self._intake = lookup, intake
        self._post, self._fan_out = post, fan_out

    async def cancel(self, tenant: TenantId, text: str, *, collection: str | None) -> JobView:
        """Cancel a job and answer how it stands then; asking twice changes nothing.

        Raises ``UnknownJob``, ``Gone``, or ``AlreadyEnded`` if it came to another ending first.
        """
        job = await self._lookup.job(tenant, text, collection=collection)
        moved = await self._intake.cancel(tenant, job.id)
        if moved is not None:
            self._tell(moved)
            log.info("job cancel asked", job_id=str(job.id), state=moved.state)
        job = await self._lookup.job(tenant, text)
        if job.has_ended and job.state is not State.CANCELLED:
            raise AlreadyEnded(f"The job is {job.status} already.", status_document(job))
        return job

    async def replay(self, tenant: TenantId, text: str) -> JobView:
        """Give an ended job a new run and answer how it stands then.

        Raises ``UnknownJob``, ``Gone``, or ``NotReplayable`` if it lives or has a result.
        """
        job = await self._lookup.job(tenant, text)
        moved = await self._intake.replay(tenant, job.id)
        if moved is not None:
            self._tell(moved)
            log.info("job replayed", job_id=str(job.id))
        job = await self._lookup.job(tenant, text)
        if moved is None:
            raise NotReplayable(f"The job is {job.status}.", status_document(job))
        return job

    async def release(self, tenant: TenantId, text: str) -> JobView:
        """Free the ordering key that a failed job holds; the job stays as it is.

        Raises ``UnknownJob``, ``Gone``, or ``HoldsNoKey``.
        """
        job = await self._lookup.job(tenant, text)
        rows = await self._intake.release(tenant, job.id)
        if rows is None:
            raise HoldsNoKey(f"The job is {job.status} and holds no key.", status_document(job))
        self._post.send(rows)
        log.info("key released", job_id=str(job.id))
        return job

    def _tell(self, moved: Changed) -> None:
        """Let who may run now begin, and whoever watches know; neither is waited for."""
        self._post.send(moved.rows)
        self._fan_out.offer(encode_news([moved.news, *moved.others]))
