"""The life of a job as a table: what may follow what."""

import pytest

from shared.contract.states import (
    ENDINGS,
    MEANING,
    MOVES,
    STATUS,
    Move,
    State,
    Status,
    edges,
)

LIVE = frozenset(State) - ENDINGS


def ways_out(state: State) -> dict[Move, State]:
    return {move: MOVES[move][state] for move in Move if state in MOVES[move]}


def test_every_move_and_every_state_is_in_the_table() -> None:
    """What the table does not name cannot happen: nothing may be forgotten."""
    assert set(MOVES) == set(Move)
    assert set(STATUS) == set(MEANING) == set(State)
    assert set(STATUS.values()) == set(Status)


def test_an_ending_has_one_name() -> None:
    """Also for whoever knows only the coarse view."""
    assert {STATUS[state].value for state in ENDINGS} == {state.value for state in ENDINGS}


@pytest.mark.parametrize("state", sorted(ENDINGS))
def test_only_a_replay_leads_out_of_an_ending(state: State) -> None:
    """I2: an ending is final; a completed job is not even replayed."""
    assert set(ways_out(state)) == (set() if state is State.COMPLETED else {Move.REPLAY})


@pytest.mark.parametrize("state", sorted(LIVE))
def test_every_live_state_leads_to_an_ending_by_itself(state: State) -> None:
    """I3: whatever nobody does, the deadline ends it."""
    assert MOVES[Move.EXPIRE][state] is State.EXPIRED


@pytest.mark.parametrize("state", sorted(LIVE))
def test_a_cancel_means_something_in_every_live_state(state: State) -> None:
    """Asked twice it changes nothing: a job that is being cancelled has no such move."""
    assert (state in MOVES[Move.CANCEL]) == (state is not State.CANCELLING)


def test_only_a_claim_starts_a_job() -> None:
    """I8: there is one door into running, and it is guarded by the row's state."""
    assert [move for move in Move if State.RUNNING in MOVES[move].values()] == [Move.CLAIM]
    assert set(MOVES[Move.CLAIM]) == {State.QUEUED}


def test_once_a_cancel_was_asked_no_attempt_leads_back() -> None:
    """However the attempt ends, the job ends with it."""
    assert ENDINGS.issuperset(ways_out(State.CANCELLING).values())


@pytest.mark.parametrize("state", list(State))
def test_every_state_can_be_reached(state: State) -> None:
    """A state nobody can be in is a dead member."""
    reached, new = {State.QUEUED, State.SCHEDULED}, {State.QUEUED, State.SCHEDULED}
    while new:
        new = {goal for start in new for goal in ways_out(start).values()} - reached
        reached |= new

    assert state in reached


def test_edges_are_the_table_as_columns() -> None:
    """The guard of an UPDATE: the three lists belong together, row by row."""
    moves, starts, goals = edges(Move.CLAIM, Move.STOP)

    assert list(zip(moves, starts, goals, strict=True)) == [
        ("claim", "queued", "running"),
        ("stop", "cancelling", "cancelled"),
    ]
    assert all(type(word) is str for word in (*moves, *starts, *goals))
