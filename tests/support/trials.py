"""A job type for tests that look at attempts: it fails as often as it is told, then answers.

``UKETSUKE_JOB_TYPES=tests.support.trials UKETSUKE_HANDLERS=tests.support.trials``
"""

from datetime import timedelta
from typing import Final

from pydantic import BaseModel, ConfigDict

from shared.contract.job_types import AfterFailure, JobType, Ordering
from uketsuke import Context, Fail, Retry, handles


class Trial(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    retries: int = 0
    fails: bool = False


TRY: Final = JobType(
    name="trials.try",
    request=Trial,
    timeout=timedelta(minutes=1),
    ordering=Ordering(after_failure=AfterFailure.BLOCK),
)


@handles(TRY)
async def try_it(context: Context, request: Trial) -> dict[str, int]:
    """Fail for now, for good, or not at all."""
    if context.attempt <= request.retries:
        raise Retry("not yet", after=timedelta(0))
    if request.fails:
        raise Fail("not_wanted", "It was told to fail")
    return {"attempt": context.attempt}
