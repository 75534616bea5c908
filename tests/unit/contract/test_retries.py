"""When a failed attempt is tried again."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from shared.contract.retries import NEVER, Retries

rolls = st.floats(0, 1, exclude_max=True)
policies = st.builds(
    Retries,
    attempts=st.integers(1, 100),
    first=st.timedeltas(timedelta(milliseconds=1), timedelta(hours=1)),
    cap=st.timedeltas(timedelta(0), timedelta(days=30)),
)


@given(policies, st.integers(1, 10_000), rolls)
def test_a_wait_is_never_negative_nor_longer_than_the_cap(
    retries: Retries, tries: int, roll: float
) -> None:
    """However often it has failed: nothing overflows, and nobody waits for years."""
    assert timedelta(0) <= retries.delay(tries, roll) <= retries.cap


@given(policies, st.integers(1, 100))
def test_the_longest_wait_doubles_until_the_cap(retries: Retries, tries: int) -> None:
    """An outage is given more and more time to end."""
    nearly = 1 - 2**-53
    this, following = (retries.delay(n, nearly) for n in (tries, tries + 1))

    assert following >= this
    assert following <= this * 2 + timedelta(microseconds=2)


@given(policies, st.integers(1, 50), rolls)
def test_the_dice_spread_the_waits_over_all_of_the_time(
    retries: Retries, tries: int, roll: float
) -> None:
    """Full jitter: a thousand jobs that failed together do not come back together."""
    longest = retries.delay(tries, 1.0)

    assert abs(retries.delay(tries, roll) - longest * roll) <= timedelta(microseconds=1)


def test_the_first_wait_is_up_to_the_first() -> None:
    """Most troubles pass at once."""
    retries = Retries(first=timedelta(seconds=8), cap=timedelta(minutes=5))

    assert retries.delay(1, 0.5) == timedelta(seconds=4)
    assert retries.delay(2, 0.5) == timedelta(seconds=8)


def test_never_means_one_attempt() -> None:
    """The policy of a type that must not be tried twice."""
    assert NEVER.attempts == 1
