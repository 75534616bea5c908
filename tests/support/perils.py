"""Job types that harm the worker they run in: read by the services that tests start.

``UKETSUKE_JOB_TYPES=tests.support.perils UKETSUKE_HANDLERS=tests.support.perils``
"""

import asyncio
import os
import time
from datetime import timedelta
from typing import Final

from pydantic import BaseModel, ConfigDict

from shared.contract.job_types import JobType
from shared.contract.retries import NEVER
from uketsuke import Context, handles


class Peril(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: float = 0.0
    again: float | None = None  # seconds of every attempt but the first, where they differ
    only_first: bool = True


LONG: Final = JobType(
    name="perils.long", request=Peril, timeout=timedelta(minutes=2), retries=NEVER
)
EXIT: Final = JobType(
    name="perils.exit", request=Peril, timeout=timedelta(minutes=2), retries=NEVER
)
BLOCK: Final = JobType(
    name="perils.block", request=Peril, timeout=timedelta(minutes=2), retries=NEVER
)


@handles(LONG)
async def take_long(context: Context, request: Peril) -> dict[str, object]:
    """Harm nobody."""
    is_first = context.attempt == 1 or request.again is None
    await asyncio.sleep(request.seconds if is_first else request.again or 0.0)
    return {"pid": os.getpid()}


@handles(EXIT)
async def end_the_worker(_: Context, request: Peril) -> dict[str, object]:
    """Take the whole process along."""
    await asyncio.sleep(request.seconds)
    os._exit(3)


@handles(BLOCK)
async def block_the_loop(context: Context, request: Peril) -> dict[str, object]:
    """Call something that waits, as a handler never should."""
    if context.attempt == 1 or not request.only_first:
        time.sleep(request.seconds)  # noqa: ASYNC251  the peril itself
    return {"pid": os.getpid()}
