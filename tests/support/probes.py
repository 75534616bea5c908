"""Job types that show what happened to them: read by the services that tests start.

``UKETSUKE_JOB_TYPES=tests.support.probes UKETSUKE_HANDLERS=tests.support.probes``
"""

import asyncio
import os
import random
from datetime import timedelta
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from shared.contract.job_types import Isolation, JobType
from shared.contract.retries import NEVER, Retries
from uketsuke import ChildContext, Context, Retry, handles


class StepRequest(BaseModel):
    """One step of a key: takes a while, and fails now and then."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    submitter: int = 0
    number: int = 0
    seconds: float = 0.01
    failing: float = Field(default=0.0, ge=0, lt=1)
    seed: int = 0


class BurnRequest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: float


STEP: Final = JobType(
    name="probes.step",
    request=StepRequest,
    timeout=timedelta(seconds=60),
    retries=Retries(
        attempts=100, first=timedelta(milliseconds=20), cap=timedelta(milliseconds=200)
    ),
)
BURN: Final = JobType(
    name="probes.burn",
    request=BurnRequest,
    isolation=Isolation.PROCESS,
    timeout=timedelta(minutes=5),
    retries=NEVER,
)


@handles(STEP)
async def step(context: Context, request: StepRequest) -> dict[str, object]:
    """Do one effect, once; fail at random after it, as a real handler would."""
    dice = random.Random(f"{request.seed}.{context.job_id}.{context.attempt}")
    is_first = await context.once("step")
    await asyncio.sleep(request.seconds)
    if dice.random() < request.failing:
        raise Retry("the dice say so")
    return {"number": request.number, "did_it": is_first}


@handles(BURN)
def burn(context: ChildContext, request: BurnRequest) -> dict[str, object]:
    """Keep a core busy."""
    end = _cpu() + request.seconds
    turns = 0
    while _cpu() < end:
        turns += 1
        sum(range(1_000))
    (context.folder / "burnt").write_text("yes", encoding="utf-8")
    return {"turns": turns, "pid": os.getpid()}


def _cpu() -> float:
    times = os.times()
    return times.user + times.system
