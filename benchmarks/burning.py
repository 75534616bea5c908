"""Job types that hold a slot for as long as they are let: by computing, or by waiting."""

import asyncio
from datetime import timedelta
from typing import Final

from pydantic import BaseModel, ConfigDict

from shared.contract.job_types import Isolation, JobType
from shared.contract.retries import NEVER
from uketsuke import ChildContext, Context, handles

POOL: Final = "burning"
_LONG: Final = timedelta(minutes=10)


class Nothing(BaseModel):
    """There is nothing to say: it goes on until it is cancelled."""

    model_config = ConfigDict(frozen=True, extra="forbid")


BURN: Final = JobType(
    name="burning.compute",
    request=Nothing,
    pool=POOL,
    isolation=Isolation.PROCESS,
    timeout=_LONG,
    retries=NEVER,
)
DAWDLE: Final = JobType(
    name="burning.wait", request=Nothing, pool=POOL, timeout=_LONG, retries=NEVER
)


@handles(BURN)
def compute(_context: ChildContext, _request: Nothing) -> None:
    """Keep a core busy for ever."""
    while True:
        sum(range(10_000))


@handles(DAWDLE)
async def wait(context: Context, _request: Nothing) -> None:
    """Do a little on the event loop, again and again, and tell of it."""
    while True:
        await asyncio.sleep(0.05)
        await context.progress(sum(range(1_000)) % 100)
