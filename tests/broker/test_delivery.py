"""Settling: few frames, no tag twice, and nothing settled that nobody asked for."""

from typing import cast

from aiormq.channel import Channel
from hypothesis import given
from hypothesis import strategies as st

from shared.broker.connection import Link
from shared.broker.delivery import Custody

tags = st.sets(st.integers(min_value=1, max_value=40))


def custody_of(held: set[int]) -> Custody:
    custody = Custody("jobs.default.high", cast("Link", None), cast("Channel", None))
    for tag in sorted(held):
        custody.take(tag)
    return custody


@given(held=tags, asked=tags)
def test_just_what_was_asked_and_is_held_gets_settled(held: set[int], asked: set[int]) -> None:
    """A tag the broker does not know costs the channel, and one too many loses a knock."""
    runs = list(custody_of(held)._runs(asked))

    assert sorted(tag for run in runs for tag in run) == sorted(held & asked)


@given(held=tags, asked=tags)
def test_one_frame_for_many_never_covers_an_older_one_that_is_still_held(
    held: set[int], asked: set[int]
) -> None:
    """To the broker `multiple` means this tag and every older one."""
    for run in custody_of(held)._runs(asked):
        if len(run) > 1:
            assert {tag for tag in held if tag <= run[-1]} == set(run)


@given(held=tags)
def test_what_is_acked_in_order_takes_one_frame(held: set[int]) -> None:
    """Frames are what a knock costs."""
    assert len(list(custody_of(held)._runs(held))) == min(len(held), 1)
