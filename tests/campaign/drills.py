"""The jobs of a drill: read by the services that a campaign starts.

``UKETSUKE_JOB_TYPES=tests.campaign.drills UKETSUKE_HANDLERS=tests.campaign.drills``
"""

import asyncio
import os
import signal
from contextlib import suppress
from datetime import timedelta
from enum import StrEnum
from typing import Final

import structlog
from pydantic import BaseModel, ConfigDict, Field

from shared.contract.job_types import Isolation, JobType
from shared.contract.retries import Retries
from uketsuke import ChildContext, Context, Fail, Retry, handles

EFFECT: Final = "done"
LATE: Final = "late"
TOLD_TO_STOP: Final = "handler told to stop"
KEPT: Final = 100_000  # bytes of a file
_STEP: Final = 0.02  # seconds
_MOST_PERCENT: Final = 50.0
LATE_PERCENT: Final = 99  # which only a zombie tells

log = structlog.get_logger()


class Kind(StrEnum):
    """What a job of a drill does."""

    QUICK = "quick"
    SLOW = "slow"  # in steps, with progress
    STUBBORN = "stubborn"  # as slow, but it writes once more when it is told to stop
    RETRY = "retry"  # fails twice
    FAIL = "fail"  # for good
    CRASH = "crash"  # its child is killed, the first time
    UNDEAD = "undead"  # told to stop, it tries every write there is, and ends as if it were well
    KEEP = "keep"  # stores a file of its own
    POISON = "poison"  # ends the worker that runs it


class DrillRequest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    kind: Kind
    seconds: float = Field(default=0.0, ge=0, le=60)


_RETRIES: Final = Retries(
    attempts=100, first=timedelta(milliseconds=20), cap=timedelta(milliseconds=300)
)
WORK: Final = JobType(
    name="drill.work", request=DrillRequest, timeout=timedelta(seconds=90), retries=_RETRIES
)
CHILD: Final = JobType(
    name="drill.child",
    request=DrillRequest,
    timeout=timedelta(seconds=90),
    retries=_RETRIES,
    isolation=Isolation.PROCESS,
)
POISON: Final = JobType(
    name="drill.poison", request=DrillRequest, timeout=timedelta(seconds=90), retries=_RETRIES
)


@handles(WORK)
async def work(context: Context, request: DrillRequest) -> dict[str, object]:
    """Do the effect first, so that whatever happens after it must not do it again."""
    is_first = await context.once(EFFECT)
    try:
        await _spend(context, request.seconds)
    except asyncio.CancelledError:
        log.info(TOLD_TO_STOP, job_id=str(context.job_id))
        if request.kind is Kind.STUBBORN:
            await context.once(LATE)  # refused, if the lease is lost or the job cancelled
        if request.kind is not Kind.UNDEAD:
            raise
        await _write_all_the_same(context)
    match request.kind:
        case Kind.RETRY if context.attempt <= 2:
            raise Retry("not yet")
        case Kind.FAIL:
            raise Fail("meant_to", "This one fails")
        case Kind.KEEP:
            return {"number": request.number, "blob": await _keep_a_file(context)}
        case _:
            return {"number": request.number, "did_it": is_first}


@handles(CHILD)
def child(context: ChildContext, request: DrillRequest) -> dict[str, object]:
    """Die once, as a broken library would."""
    if context.checkpoint is None:
        context.save_checkpoint({"died": True})
        os.kill(os.getpid(), signal.SIGKILL)
    return {"number": request.number}


@handles(POISON)
async def poison(_: Context, request: DrillRequest) -> None:
    """Take the whole worker along."""
    await asyncio.sleep(request.seconds)
    os._exit(3)


async def _keep_a_file(context: Context) -> str:
    path = context.folder / "kept"
    path.write_bytes(bytes(KEPT))
    blob = await context.keep(path, name="kept", content_type="application/octet-stream")
    return str(blob.id)


async def _write_all_the_same(context: Context) -> None:
    """Try what a zombie might, each try refused: then its verdict comes, as if nothing were."""
    await context.progress(LATE_PERCENT)
    for write in (context.once(LATE), context.save_checkpoint({LATE: True})):
        with suppress(asyncio.CancelledError):
            await write


async def _spend(context: Context, seconds: float) -> None:
    steps = round(seconds / _STEP)
    for step in range(steps):
        await context.progress(_MOST_PERCENT * step / steps)
        await asyncio.sleep(_STEP)
