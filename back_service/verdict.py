"""Decide what becomes of a job after an attempt.

Pure: no clock, no dice, no I/O. The runner asks, the store obeys.
"""

from typing import assert_never

from shared.contract.jobs import Job
from shared.contract.outcomes import (
    Interrupted,
    Outcome,
    Raised,
    Refused,
    Returned,
    Snoozed,
    Stopped,
    Verdict,
)
from shared.contract.retries import Retries
from shared.contract.states import Move


def verdict(outcome: Outcome, job: Job, retries: Retries, roll: float) -> Verdict:
    """Judge one attempt of *job*; *roll* is uniform in [0, 1)."""
    tries = job.attempt - job.crashes  # an attempt that died with its worker is not its fault
    match outcome:
        case Returned(result=result):
            return Verdict(move=Move.COMPLETE, result=result)
        case Snoozed(delay=delay):
            return Verdict(move=Move.SNOOZE, delay=delay, given_back=1)
        case Interrupted():
            return Verdict(move=Move.INTERRUPT, given_back=1)
        case Stopped():
            return Verdict(move=Move.STOP)
        case Raised(failure=failure, after=after) if tries < job.max_attempts:
            delay = retries.delay(max(tries, 1), roll) if after is None else after
            return Verdict(move=Move.RETRY, failure=failure, delay=delay)
        case Raised(failure=failure) | Refused(failure=failure):
            return Verdict(move=Move.FAIL, failure=failure)
        case _:
            assert_never(outcome)
