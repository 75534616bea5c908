"""The SQL of the moves: it moves jobs as the table says, and nowhere else."""

from collections.abc import Mapping
from typing import Final

import pytest

from shared.contract.states import Move, edges
from shared.store.sql import statement
from tests.house.statements import goal_of, names, ways_of

_OTHERWISE: Final[Mapping[str, tuple[Move, ...]]] = {
    "go_on": (Move.CLAIM,),
    "rescue": (Move.RESCUE, Move.CRASH_LOOP),
}
"""The moves of statements that are not named like the one move that they make."""

_HANDED: Final = ("e.goal", "hit.goal")

SPELLED: Final = [name for name in names() if goal_of(statement(name)) not in (None, *_HANDED)]


def moves_of(name: str) -> tuple[Move, ...]:
    return _OTHERWISE.get(name) or (Move(name),)


def ways(*moves: Move) -> set[tuple[str, str]]:
    _, starts, goals = edges(*moves)
    return set(zip(starts, goals, strict=True))


@pytest.mark.parametrize("name", SPELLED)
def test_i2_a_statement_that_spells_its_states_out_moves_as_the_table_says(name: str) -> None:
    """A state that is added to the one and not to the other leaves jobs that nobody moves on."""
    assert ways_of(statement(name)) == ways(*moves_of(name))


def test_every_statement_that_moves_jobs_is_one_or_the_other() -> None:
    """Handed its guards, or held to them here; and the parser has found those that there are."""
    handed = {name for name in names() if goal_of(statement(name)) in _HANDED}

    assert handed >= {"cancel", "finish", "replay"}
    assert set(SPELLED) >= {"claim", "come_due", "expire", "go_on", "rescue"}
    for name in handed:
        assert "AS e (move, start, goal)" in statement(name)


@pytest.mark.parametrize(
    ("name", "was", "becomes"),
    [
        ("claim", "j.state = 'queued' AND j.type", "j.state = 'retrying' AND j.type"),
        ("go_on", "SET state = 'running'", "SET state = 'queued'"),
        ("come_due", "('scheduled', 'retrying')", "('scheduled')"),
        ("rescue", "THEN 'failed'", "THEN 'expired'"),
        ("rescue", "hit.state = 'cancelling' THEN 'cancelled'", "j.crashes > 9 THEN 'cancelled'"),
        ("rescue", "state IN ('running', 'cancelling')", "state = 'running'"),
        ("expire", "'queued', 'running'", "'running'"),
    ],
)
def test_a_state_that_is_wrong_is_seen(name: str, was: str, becomes: str) -> None:
    """A lint that cannot fail guards nothing."""
    whole = statement(name)

    assert was in whole
    assert ways_of(whole.replace(was, becomes, 1)) != ways(*moves_of(name))
