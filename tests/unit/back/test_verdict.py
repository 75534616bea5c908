"""What becomes of a job after an attempt, as a table."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from back_service.verdict import verdict
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
from shared.contract.retries import NEVER, Retries
from shared.contract.states import MOVES, Move, State
from tests.support.builders import a_job

FAILURE = Failure(code="no_good", message="It went wrong")
SOON = timedelta(seconds=5)
RETRIES = Retries(attempts=4, first=timedelta(seconds=8), cap=timedelta(minutes=5))

outcomes: st.SearchStrategy[Outcome] = st.one_of(
    st.builds(Returned, result=st.binary()),
    st.builds(Raised, failure=st.just(FAILURE), after=st.none() | st.just(SOON)),
    st.builds(Refused, failure=st.just(FAILURE)),
    st.builds(Snoozed, delay=st.just(SOON)),
    st.builds(Interrupted),
    st.builds(Stopped),
)


@pytest.mark.parametrize(
    ("outcome", "move", "values"),
    [
        (Returned(result=b"7"), Move.COMPLETE, {"result": b"7"}),
        (Raised(failure=FAILURE), Move.RETRY, {"failure": FAILURE, "delay": timedelta(seconds=4)}),
        (Raised(failure=FAILURE, after=SOON), Move.RETRY, {"failure": FAILURE, "delay": SOON}),
        (Refused(failure=FAILURE), Move.FAIL, {"failure": FAILURE}),
        (Snoozed(delay=SOON), Move.SNOOZE, {"delay": SOON, "given_back": 1}),
        (Interrupted(), Move.INTERRUPT, {"given_back": 1}),
        (Stopped(), Move.STOP, {}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_outcome_has_its_verdict(outcome: Outcome, move: Move, values: dict[str, Any]) -> None:
    """With the values that belong to the move, and no others."""
    ruling = verdict(outcome, a_job(attempt=1), RETRIES, 0.5)

    usual = {"result": None, "failure": None, "delay": None, "given_back": 0}
    assert ruling.move is move
    assert {name: getattr(ruling, name) for name in usual} == usual | values


@pytest.mark.parametrize(
    ("attempt", "crashes", "most", "move"),
    [
        (1, 0, 4, Move.RETRY),
        (3, 0, 4, Move.RETRY),
        (4, 0, 4, Move.FAIL),
        (5, 0, 4, Move.FAIL),
        (1, 0, 1, Move.FAIL),
        (4, 1, 4, Move.RETRY),
        (6, 2, 4, Move.FAIL),
    ],
)
def test_a_failed_attempt_is_tried_again_while_there_are_tries(
    attempt: int, crashes: int, most: int, move: Move
) -> None:
    """An attempt that died with its worker is no fault of the handler's: it does not count."""
    job = a_job(attempt=attempt, crashes=crashes, max_attempts=most)

    assert verdict(Raised(failure=FAILURE), job, RETRIES, 0.5).move is move


def test_what_the_caller_asked_for_counts_and_not_the_types_policy() -> None:
    """The store has written the number of attempts into the job."""
    job = a_job(attempt=1, max_attempts=2)

    assert verdict(Raised(failure=FAILURE), job, NEVER, 0.5).move is Move.RETRY


def test_the_wait_grows_with_the_tries_and_not_with_crashes() -> None:
    """The dice are handed in, so the wait can be foretold."""
    job = a_job(attempt=4, crashes=2)

    delay = verdict(Raised(failure=FAILURE), job, RETRIES, 0.5).delay
    assert delay == RETRIES.delay(2, 0.5)


def test_the_handlers_own_wish_goes_before_the_policy() -> None:
    """It has seen the other side's `Retry-After`."""
    assert verdict(Raised(failure=FAILURE, after=SOON), a_job(), RETRIES, 0.9).delay == SOON


@given(outcomes, st.integers(1, 200), st.integers(0, 5), st.integers(1, 100), st.floats(0, 0.999))
def test_every_verdict_is_a_move_of_a_running_or_cancelled_job(
    outcome: Outcome, attempt: int, crashes: int, most: int, roll: float
) -> None:
    """Whatever a handler does, the store knows what to make of it."""
    job = a_job(attempt=attempt, crashes=min(crashes, attempt), max_attempts=most)

    ruling = verdict(outcome, job, RETRIES, roll)

    assert State.CANCELLING in MOVES[ruling.move]
    assert (State.RUNNING in MOVES[ruling.move]) != isinstance(outcome, Stopped)
    assert ruling.delay is None or ruling.delay >= timedelta(0)
    assert ruling.given_back in (0, 1)
