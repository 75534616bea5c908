"""Attempts as steps of the trace that their job was submitted in: the wait, then the handler."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from back_service.leases import Held
from back_service.runner import Runner
from shared.contract.headers import TRACEPARENT
from shared.contract.ids import JobId
from shared.contract.jobs import Job
from shared.contract.outcomes import Outcome, Raised, Refused
from shared.runtime.tracing import Tracing

_MOST: Final = 10_000  # knocks remembered whose jobs may never be ours

Heard = Callable[[Mapping[str, Any], Iterable[JobId]], None]


class TracedRunner(Runner):
    """Knows from the headers of knocks which step woke a job; else its row says the trace."""

    def __init__(self, *words: Any, tracing: Tracing, **options: Any) -> None:
        super().__init__(*words, **options)
        self._tracing = tracing
        self._woken: OrderedDict[JobId, str] = OrderedDict()

    def heard(self, headers: Mapping[str, Any], job_ids: Iterable[JobId]) -> None:
        """Remember the step that *headers* of a knock for *job_ids* name."""
        told = headers.get(TRACEPARENT)
        if isinstance(told, bytes):
            told = told.decode(errors="replace")
        if isinstance(told, str):
            self._woken.update(dict.fromkeys(job_ids, told))
        while len(self._woken) > _MOST:
            self._woken.popitem(last=False)

    async def run(self, job: Job, held: Held) -> Outcome:
        """As ``Runner.run``."""
        parent = self._parent(job)
        if parent is None:
            return await super().run(job, held)
        span = self._tracing.span
        with span("claim", "consumer", parent=parent, waited=job.waited_ms / 1000) as claim:
            claim.note("uketsuke.job.id", str(job.id))
            claim.note("uketsuke.job.type", job.type)
            continued = claim.traceparent
        with span(f"attempt {job.type}", "internal", parent=continued) as attempt:
            attempt.note("uketsuke.job.id", str(job.id))
            attempt.note("uketsuke.attempt", job.attempt)
            outcome = await super().run(job, held)
            attempt.note("uketsuke.outcome", type(outcome).__name__.lower())
            if isinstance(outcome, Raised | Refused):
                attempt.note("error.type", outcome.failure.code)
            return outcome

    def _parent(self, job: Job) -> str | None:
        """Find the step before: the knock, if it is of the job's own trace, else the submit."""
        woken = self._woken.pop(job.id, None)
        if woken is None or job.traceparent is None:
            return job.traceparent
        return woken if _trace(woken) == _trace(job.traceparent) else job.traceparent


def _trace(traceparent: str) -> str:
    return traceparent[3:35]
