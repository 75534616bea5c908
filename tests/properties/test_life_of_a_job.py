"""Any life that handlers, callers, crashes and time can give a job, against a few rules."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from back_service.verdict import verdict
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
from shared.contract.retries import Retries
from shared.contract.states import ENDINGS, MOVES, Move, State
from tests.support.builders import a_job

FAILURE: Final = Failure(code="no_good", message="It went wrong")
RETRIES: Final = Retries()
CRASHES: Final = 3

OUTCOMES: Final[tuple[Outcome, ...]] = (
    Returned(result=b"1"),
    Raised(failure=FAILURE),
    Refused(failure=FAILURE),
    Snoozed(delay=timedelta(seconds=1)),
    Interrupted(),
    Stopped(),
)

Step = Outcome | Move
"""An attempt ends so, or somebody else moves the job."""

steps = st.lists(
    st.sampled_from([*OUTCOMES, Move.COME_DUE, Move.CLAIM, Move.CANCEL, Move.RESCUE, Move.EXPIRE]),
    max_size=60,
)


class Life:
    """A job as the store keeps it, by the table and nothing else."""

    def __init__(self, max_attempts: int) -> None:
        self.job: Job = a_job(attempt=0, token=0, max_attempts=max_attempts)
        self.state = State.QUEUED
        self.failed_tries = 0
        self.states = [self.state]

    def take(self, step: Step) -> None:
        match step:
            case Move.CLAIM:
                if self.move(step):
                    self.job = replace(self.job, attempt=self.job.attempt + 1)
            case Move.RESCUE:
                self.rescue()
            case Move():
                self.move(step)
            case _ if self.state in (State.RUNNING, State.CANCELLING):
                self.end_attempt(step)

    def end_attempt(self, outcome: Outcome) -> None:
        ruling = verdict(outcome, self.job, RETRIES, 0.5)
        if self.move(ruling.move):
            self.job = replace(self.job, attempt=self.job.attempt - ruling.given_back)
            self.failed_tries += ruling.move in (Move.RETRY, Move.FAIL)

    def rescue(self) -> None:
        crashes = self.job.crashes + 1
        if self.move(Move.CRASH_LOOP if crashes >= CRASHES else Move.RESCUE):
            self.job = replace(self.job, crashes=crashes)

    def move(self, move: Move) -> bool:
        goal = MOVES[move].get(self.state)
        if goal is None:
            return False
        self.state = goal
        self.states.append(goal)
        return True


@given(steps, st.integers(1, 5))
@settings(max_examples=300)
def test_every_life_keeps_the_rules(lived: list[Step], max_attempts: int) -> None:
    """Whatever happens to it, in whatever order."""
    life = Life(max_attempts)
    for step in lived:
        life.take(step)

    assert life.failed_tries <= max_attempts
    assert life.job.crashes <= CRASHES
    assert 0 <= life.job.attempt <= max_attempts + CRASHES
    assert [state for state in life.states[:-1] if state in ENDINGS] == []


@given(steps, st.integers(1, 5))
@settings(max_examples=100)
def test_every_live_job_can_still_be_ended_by_anybody(lived: list[Step], most: int) -> None:
    """I3: by its caller, by its deadline, and by workers that keep dying."""
    life = Life(most)
    for step in lived:
        life.take(step)
    if life.state in ENDINGS:
        return

    for _ in range(CRASHES + 1):
        life.take(Move.COME_DUE)
        life.take(Move.CLAIM)
        life.take(Move.RESCUE)
    assert life.state in ENDINGS


@given(steps)
@settings(max_examples=100)
def test_a_job_that_was_asked_to_stop_never_runs_again(lived: list[Step]) -> None:
    """I8: the states after a cancel are the stop and the ending."""
    life = Life(5)
    for step in lived:
        life.take(step)

    if State.CANCELLING in life.states:
        after = life.states[life.states.index(State.CANCELLING) + 1 :]
        assert len(after) <= 1
        assert ENDINGS.issuperset(after)


def test_a_job_that_only_ever_fails_has_all_its_tries_and_no_more() -> None:
    """As many as its type, or its caller, has said."""
    life = Life(4)
    for _ in range(10):
        life.take(Move.COME_DUE)
        life.take(Move.CLAIM)
        life.take(Raised(failure=FAILURE))

    assert life.state is State.FAILED
    assert life.states.count(State.RUNNING) == 4
