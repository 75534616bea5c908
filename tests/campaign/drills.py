"""The jobs of a drill: read by the services that a campaign starts.

``UKETSUKE_JOB_TYPES=tests.campaign.drills UKETSUKE_HANDLERS=tests.campaign.drills``
"""

import asyncio
import os
import signal
from datetime import timedelta
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from shared.contract.job_types import Isolation, JobType
from shared.contract.retries import Retries
from uketsuke import ChildContext, Context, Fail, Retry, handles

EFFECT: Final = "done"
LATE: Final = "late"
_STEP: Final = 0.02  # seconds


class Kind(StrEnum):
    """What a job of a drill does."""

    QUICK = "quick"
    SLOW = "slow"  # in steps, with progress
    STUBBORN = "stubborn"  # as slow, but it writes once more when it is told to stop
    RETRY = "retry"  # fails twice
    FAIL = "fail"  # for good
    CRASH = "crash"  # its child is killed, the first time


class DrillRequest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    kind: Kind
    seconds: float = Field(default=0.0, ge=0, le=60)


_RETRIES: Final = Retries(
    attempts=50, first=timedelta(milliseconds=20), cap=timedelta(milliseconds=300)
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


@handles(WORK)
async def work(context: Context, request: DrillRequest) -> dict[str, object]:
    """Do the effect first, so that whatever happens after it must not do it again."""
    is_first = await context.once(EFFECT)
    try:
        await _spend(context, request.seconds)
    except asyncio.CancelledError:
        if request.kind is Kind.STUBBORN:
            await context.once(LATE)  # refused, if the lease is lost or the job cancelled
        raise
    match request.kind:
        case Kind.RETRY if context.attempt <= 2:
            raise Retry("not yet")
        case Kind.FAIL:
            raise Fail("meant_to", "This one fails")
        case _:
            return {"number": request.number, "did_it": is_first}


@handles(CHILD)
def child(context: ChildContext, request: DrillRequest) -> dict[str, object]:
    """Die once, as a broken library would."""
    if context.checkpoint is None:
        context.save_checkpoint({"died": True})
        os.kill(os.getpid(), signal.SIGKILL)
    return {"number": request.number}


async def _spend(context: Context, seconds: float) -> None:
    steps = round(seconds / _STEP)
    for step in range(steps):
        await context.progress(100 * step / steps)
        await asyncio.sleep(_STEP)
