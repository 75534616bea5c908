"""Run one attempt and say how it ended. Whatever a handler does, an outcome comes out.

What a stranger may read of a failure is written here or by the handler's author; the details of
an unforeseen error go to the log alone.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import timedelta
from typing import Any, Final, Protocol

import orjson
import structlog
from pydantic import BaseModel, ValidationError

from back_service.leases import Cause, Fenced, Held
from shared.contract.authoring import ChildDied, Context, Fail, Handler, Retry, Snooze
from shared.contract.ids import JobId
from shared.contract.job_types import Catalogue, Isolation, JobType
from shared.contract.jobs import Job
from shared.contract.outcomes import (
    Failure,
    Interrupted,
    Outcome,
    Raised,
    Refused,
    Returned,
    Snoozed,
    Stopped,
)
from shared.runtime.clock import Clock

log = structlog.get_logger()

_LONGEST_MESSAGE: Final = 2_000
_LONGEST_CODE: Final = 64
_UNLIMITED: Final = nullcontext()


class LeaseLost(Exception):
    """The job is somebody else's now: nothing this attempt did may be written."""


class OpenContext(Context, Protocol):
    """A context that the runner can end."""

    async def tell_last(self) -> None:
        """Tell how far the attempt came that has failed."""

    async def close(self) -> None:
        """Let go of what the attempt used."""

    async def handle(self, handler: Handler, request: BaseModel) -> object:
        """Run a handler whose isolation is a child process."""


Open = Callable[[Job, JobType], OpenContext]


class Runner:
    def __init__(
        self,
        catalogue: Catalogue,
        handlers: Mapping[str, Handler],
        open_context: Open,
        clock: Clock,
        *,
        max_result: int,
    ) -> None:
        self._catalogue, self._handlers, self._open = catalogue, handlers, open_context
        self._clock, self._max_result = clock, max_result
        limits = {name: catalogue[name].concurrency for name in handlers}
        self._limits = {n: asyncio.Semaphore(most) for n, most in limits.items() if most}
        self._held_back: set[JobId] = set()

    @property
    def held_back(self) -> int:
        """How many jobs wait for others of their type to end."""
        return len(self._held_back)

    async def run(self, job: Job, held: Held) -> Outcome:
        """Run the handler of *job* until it ends, its time is up, or *held* is told to stop.

        Raises ``LeaseLost`` when the outcome would be nobody's business any more.
        """
        job_type = self._catalogue[job.type]
        try:
            async with self._turn(job):
                until = self._clock.monotonic() + job_type.timeout.total_seconds()
                held.begin(until=until)
                try:
                    return await self._attempt(job, job_type)
                finally:
                    held.end()
        except asyncio.CancelledError as error:
            return _stopped(held, job_type, error)
        except (Exception, SystemExit) as error:  # noqa: BLE001  a handler may raise anything
            return _failed(error)

    def _turn(self, job: Job) -> AbstractAsyncContextManager[None]:
        limit = self._limits.get(job.type)
        return _UNLIMITED if limit is None else self._limited(limit, job.id)

    @asynccontextmanager
    async def _limited(self, limit: asyncio.Semaphore, job_id: JobId) -> AsyncIterator[None]:
        self._held_back.add(job_id)
        try:
            await limit.acquire()
        finally:
            self._held_back.discard(job_id)
        try:
            yield
        finally:
            limit.release()

    async def _attempt(self, job: Job, job_type: JobType) -> Outcome:
        try:
            request = job_type.request.model_validate_json(job.request)
        except ValidationError as error:
            log.warning("request no longer valid", problems=error.error_count())
            return Refused(
                failure=Failure(code="request_invalid", message="The request is not valid any more")
            )
        context = self._open(job, job_type)
        try:
            answer = await self._call(job_type, context, request)
        except Exception:
            await context.tell_last()
            raise
        finally:
            await context.close()
        return self._returned(job_type, answer)

    async def _call(self, job_type: JobType, context: OpenContext, request: BaseModel) -> object:
        handler = self._handlers[job_type.name]
        if job_type.isolation is Isolation.PROCESS:
            return await context.handle(handler, request)
        answer: Any = handler(context, request)
        return await answer

    def _returned(self, job_type: JobType, answer: object) -> Outcome:
        try:
            result = _encode(job_type, answer)
        except (ValueError, TypeError, RecursionError) as error:
            log.warning("result is not what the type promises", why=str(error)[:500])
            return Refused(
                failure=Failure(code="result_invalid", message="The handler's result is not valid")
            )
        if len(result) > self._max_result:
            text = f"The result has {len(result)} bytes; {self._max_result} are allowed"
            return Refused(failure=Failure(code="result_too_large", message=text))
        return Returned(result=result)


def _encode(job_type: JobType, answer: object) -> bytes:
    if job_type.result is not None and not isinstance(answer, job_type.result):
        answer = job_type.result.model_validate(answer)
    if isinstance(answer, BaseModel):
        return answer.model_dump_json(by_alias=True).encode()
    return orjson.dumps(answer)


def _stopped(held: Held, job_type: JobType, error: asyncio.CancelledError) -> Outcome:
    task = asyncio.current_task()
    cause = held.cause
    if cause is None and isinstance(error, Fenced):
        return Stopped()  # the store knows whether that is so
    if task is None or (cause is None and task.cancelling()):
        raise asyncio.CancelledError  # the house itself is going down
    match cause:
        case Cause.CANCEL:
            return Stopped()
        case Cause.DRAIN:
            return Interrupted()
        case Cause.LOST:
            raise LeaseLost
        case Cause.TIMEOUT:
            text = f"It took longer than {job_type.timeout.total_seconds():g} s"
            return Raised(failure=Failure(code="timeout", message=text))
        case None:
            return Raised(failure=Failure(code="handler_error", message="The handler gave up"))


def _failed(error: BaseException) -> Outcome:
    match error:
        case Retry(message=message, after=after):
            text = _clean(message) or "The handler asked for another try"
            return Raised(failure=Failure(code="retry", message=text), after=_not_negative(after))
        case Fail(code=code, message=message):
            name = _clean(code)[:_LONGEST_CODE] or "failed"
            return Refused(failure=Failure(code=name, message=_clean(message)))
        case Snooze(delay=delay):
            return Snoozed(delay=max(delay, timedelta(0)))
        case ChildDied():
            return Raised(failure=Failure(code="child_died", message="Its process ended abruptly"))
        case _:
            log.warning("handler raised", exc_info=error)
            return Raised(failure=Failure(code="handler_error", message="The handler failed"))


def _not_negative(delay: timedelta | None) -> timedelta | None:
    return None if delay is None else max(delay, timedelta(0))


def _clean(text: str) -> str:
    """Make text from a handler safe to store and to show: no control characters, not endless."""
    kept = "".join(c for c in str(text)[:_LONGEST_MESSAGE] if c.isprintable() or c in "\n\t")
    return kept.encode(errors="replace").decode()
