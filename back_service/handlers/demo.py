"""The two small job types: one answers at once, one takes its time."""

import asyncio

from shared.job_types.demo import ECHO, SLEEP, EchoRequest, SleepRequest, SleepResult
from uketsuke import Context, handles


@handles(ECHO)
async def echo(_context: Context, request: EchoRequest) -> object:
    """Answer what was asked, whatever JSON it is."""
    return request.payload


@handles(SLEEP)
async def sleep(context: Context, request: SleepRequest) -> SleepResult:
    """Wait in even steps and tell of each; a cancel ends the wait at once."""
    for step in range(1, request.steps + 1):
        await asyncio.sleep(request.seconds / request.steps)
        await context.progress(100 * step / request.steps, f"step {step} of {request.steps}")
    return SleepResult(slept=request.seconds, steps=request.steps)
