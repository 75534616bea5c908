"""Whose knock is next: high before normal before low, but nobody starves."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from back_service.shares import WEIGHTS, Shares, is_high

HIGH, NORMAL, LOW = ROUTES = ("jobs.a.high", "jobs.a.normal", "jobs.a.low")


def test_each_has_its_share_while_all_wait() -> None:
    """Ten turns: six, three and one."""
    shares = Shares(ROUTES)

    turns = Counter(shares.next(ROUTES) for _ in range(1_000))

    assert turns == {HIGH: 600, NORMAL: 300, LOW: 100}


def test_turns_are_dealt_smoothly() -> None:
    """Nobody gets all of its turns in a row: normal waits for few of high's."""
    shares = Shares(ROUTES)

    turns = [shares.next(ROUTES) for _ in range(20)]

    longest = max(turns[n : n + 4].count(HIGH) for n in range(17))
    assert longest < 4


@given(st.lists(st.sets(st.sampled_from(ROUTES), min_size=1), max_size=200))
def test_whoever_is_chosen_waits(waiting: list[set[str]]) -> None:
    """A route without a knock is never given the turn."""
    shares = Shares(ROUTES)

    for routes in waiting:
        assert shares.next(sorted(routes)) in routes


def test_the_only_one_that_waits_has_every_turn() -> None:
    """A share is no limit: slots are never left empty for somebody who is not there."""
    shares = Shares(ROUTES)

    assert {shares.next([LOW]) for _ in range(100)} == {LOW}


def test_who_was_alone_for_long_owes_nobody_anything() -> None:
    """Nor has it saved up turns: shares are of what waits now."""
    shares = Shares(ROUTES)
    for _ in range(1_000):
        shares.next([LOW])

    turns = Counter(shares.next(ROUTES) for _ in range(10))

    assert turns == {HIGH: 6, NORMAL: 3, LOW: 1}


@given(st.lists(st.sets(st.sampled_from(ROUTES), min_size=1), min_size=50, max_size=50))
def test_nobody_who_keeps_waiting_starves(others: list[set[str]]) -> None:
    """Low has its turn within its weight's worth, whoever else comes and goes."""
    shares = Shares(ROUTES)
    rounds = sum(WEIGHTS.values())

    since = 0
    for routes in others:
        since = 0 if shares.next(sorted(routes | {LOW})) == LOW else since + 1
        assert since <= rounds * 2


def test_pools_are_dealt_side_by_side() -> None:
    """A worker of two pools serves both."""
    shares = Shares(["jobs.a.normal", "jobs.b.normal"])

    turns = Counter(shares.next(["jobs.a.normal", "jobs.b.normal"]) for _ in range(10))

    assert turns == {"jobs.a.normal": 5, "jobs.b.normal": 5}


def test_a_route_knows_whether_it_is_high() -> None:
    """The last slot is kept for those."""
    assert [is_high(route) for route in ROUTES] == [True, False, False]
