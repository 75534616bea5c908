"""Take a request in: vet it, make it durable, knock, and hand out the ticket.

What this answers is stored; whether the broker confirmed the knock in time changes nothing
about that, since the relay delivers what is left.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Protocol

import structlog

from front_service.allowance import Policy
from front_service.backlog import Backlog
from front_service.bucket import Bucket
from front_service.gate import Gate
from front_service.outlook import Outlook
from front_service.pointers import mistake, steps_to
from front_service.refusals import QuotaReached
from front_service.vetting import Ask, check_idempotency_key, vet
from shared.contract.addresses import EgressRules
from shared.contract.errors import Invalid, TooLarge, UnknownType
from shared.contract.events import encode_news
from shared.contract.files import FileReference
from shared.contract.job_types import Catalogue, JobType
from shared.contract.jobs import Accepted, Submission
from shared.contract.status import ticket
from shared.runtime.clock import Clock, fresh_job_id
from shared.runtime.metrics import FrontMetrics
from shared.store.batches import Admitted
from shared.store.rows import OutboxRow

log: Final = structlog.get_logger()


class Admits(Protocol):
    async def admit(self, submission: Submission) -> Admitted:
        """As ``Intake.admit``."""


class Posts(Protocol):
    async def confirmed(self, row: OutboxRow) -> bool:
        """As ``Post.confirmed``."""

    def send(self, rows: Iterable[OutboxRow]) -> None:
        """As ``Post.send``."""


class Tells(Protocol):
    def offer(self, body: bytes) -> None:
        """As ``FanOut.offer``."""


class ReadsStatus(Protocol):
    async def __call__(self, ask: Ask, accepted: Accepted) -> str:
        """Say the present status of a job that was accepted before."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """The answer to a submit: the document, and whether the job is an earlier one."""

    document: dict[str, Any]
    replayed: bool


class Admission:
    def __init__(
        self,
        *,
        catalogue: Catalogue,
        intake: Admits,
        post: Posts,
        fan_out: Tells,
        status: ReadsStatus,
        outlook: Outlook,
        backlog: Backlog,
        gate: Gate,
        bucket: Bucket | None,
        metrics: FrontMetrics,
        clock: Clock,
        max_age: timedelta,
        egress: EgressRules,
    ) -> None:
        self._catalogue, self._intake, self._post = catalogue, intake, post
        self._status, self._backlog, self._max_age = status, backlog, max_age
        self._metrics, self._clock, self._egress = metrics, clock, egress
        self._outlook = outlook
        self._fan_out, self._gate = fan_out, gate
        self._bucket = bucket

    def check(self, name: str, idempotency_key: str | None) -> JobType:
        """Refuse what no body could make acceptable, before any of it is read or stored."""
        job_type = self._catalogue.get(name)
        if job_type is None:
            raise UnknownType
        self.check_room()
        check_idempotency_key(idempotency_key)
        return job_type

    def check_room(self) -> None:
        """Refuse everything while too much waits for the broker, or to be stored."""
        self._backlog.check()
        self._gate.check()

    def check_burst(self, jobs: int) -> None:
        """Raise ``TooLarge`` for more jobs than this front ever takes at once."""
        if self._bucket is not None and jobs > self._bucket.burst:
            most = self._bucket.burst
            raise TooLarge(f"This service takes {most} jobs at once, not {jobs}.")

    def charge(self, jobs: int = 1) -> None:
        """Count so many submits, good or bad; raise ``QuotaReached``, and then count none.

        *jobs* are no more than ``check_burst`` lets pass.
        """
        if self._bucket is None:
            return
        wait = self._bucket.take(self._clock.monotonic(), jobs)
        if wait:
            standing = self._bucket.standing(wait)
            raise QuotaReached(Policy.FRONT, "More is submitted here than may be.", standing)

    def vet(self, ask: Ask) -> Submission:
        """Make *ask* a submission with an id of its own; raise ``Refusal``."""
        job_type = self._catalogue.get(ask.type)
        if job_type is None:
            raise UnknownType
        return vet(ask, job_type, fresh_job_id(), max_age=self._max_age, egress=self._egress)

    async def submit(self, ask: Ask) -> Ticket:
        """Accept *ask* as a job; raises ``Refusal``, and then kept nothing, or ``Unavailable``."""
        self.check(ask.type, ask.idempotency_key)
        self.charge()
        submission = self.vet(ask)
        began = self._clock.monotonic()
        admitted = await self._admit(submission, ask)
        accepted = admitted.accepted
        self._tell(admitted)
        confirmed = await self._confirmed(admitted.row)
        seconds = self._clock.monotonic() - began
        self._metrics.accepted(ask.type, confirmed=confirmed, seconds=seconds)
        document = ticket(ask.type, str(accepted.job_id), accepted.at)
        if accepted.replayed or accepted.existing:
            document["status"] = await self._status(ask, accepted)
        else:
            document |= self._outlook.of_new(submission).members
        if accepted.existing:
            document["existing"] = True
        log.info(
            "job accepted",
            job_id=document["jobId"],
            type=ask.type,
            confirmed=confirmed,
            replayed=accepted.replayed,
            existing=accepted.existing,
        )
        return Ticket(document, accepted.replayed)

    async def _confirmed(self, row: OutboxRow | None) -> bool | None:
        """Wait a little for the broker; ``None`` if there is nothing to wait for."""
        if row is None:  # it waits for its time or its turn, or was accepted before
            return None
        try:
            return await self._post.confirmed(row)
        except Exception:
            log.exception("knock failed")  # the job is stored: no mistake of ours takes that back
            return False

    def _tell(self, admitted: Admitted) -> None:
        """Let go on, and let watchers know, what was changed for the sake of this job."""
        self._post.send(admitted.others)
        if admitted.news:
            self._fan_out.offer(encode_news(list(admitted.news)))

    async def _admit(self, submission: Submission, ask: Ask) -> Admitted:
        try:
            return await self._intake.admit(submission)
        except Invalid as error:
            raise Invalid(_placed(error, submission, ask)) from error


def _placed(error: Invalid, submission: Submission, ask: Ask) -> list[dict[str, str]]:
    """Say in which members the blobs stand that the store does not know."""
    found: Any = error.members["errors"]
    places = [
        mistake(steps_to(FileReference.to_blob(blob_id), ask.members), one["detail"])
        for one in found
        for blob_id in submission.blobs
        if str(blob_id) in one["detail"]
    ]
    return places or list(found)
