"""Stop a job on its caller's wish."""

from collections.abc import Iterable
from typing import Final, Protocol

import structlog

from front_service.lookup import Lookup
from shared.contract.errors import AlreadyEnded
from shared.contract.events import encode_news
from shared.contract.ids import JobId, TenantId
from shared.contract.jobs import JobView
from shared.contract.states import State
from shared.contract.status import status_document
from shared.store.intake import Cancelled
from shared.store.rows import OutboxRow

log: Final = structlog.get_logger()


class Cancels(Protocol):
    async def cancel(self, tenant: TenantId, job_id: JobId) -> Cancelled | None:
        """As ``Intake.cancel``."""


class Tells(Protocol):
    def offer(self, body: bytes) -> None:
        """As ``FanOut.offer``."""


class Sends(Protocol):
    def send(self, rows: Iterable[OutboxRow]) -> None:
        """As ``Post.send``."""


class Control:
    def __init__(self, *, lookup: Lookup, intake: Cancels, post: Sends, fan_out: Tells) -> None:
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

    def _tell(self, moved: Cancelled) -> None:
        """Let the next of its key begin, and whoever watches know; neither is waited for."""
        self._post.send(moved.rows)
        self._fan_out.offer(encode_news([moved.news]))
