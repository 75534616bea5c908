"""Whom the desk lets in, and how much it takes at a time: judged without a socket or a clock."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from front_service.bucket import Bucket
from front_service.crowd import Crowd, Full


def a_crowd(told: list[Full], *, most: int = 5, most_of_one: int = 2) -> Crowd:
    proxies = (ip_network("127.0.0.0/8"), ip_network("2001:db8:1::/48"))
    return Crowd(most=most, most_of_one=most_of_one, proxies=proxies, tell=told.append)


def test_i12_one_more_than_all_is_refused_and_counted() -> None:
    """Whoever it is; and whoever leaves makes room for another."""
    told: list[Full] = []
    crowd = a_crowd(told)
    for number in range(5):
        assert crowd.enter(f"192.0.2.{number}") is None

    assert crowd.enter("192.0.2.9") is Full.ALL
    assert crowd.enter("127.0.0.1") is Full.ALL
    assert told == [Full.ALL] * 2
    crowd.leave("192.0.2.3")
    assert crowd.enter("192.0.2.9") is None


def test_i12_nobody_has_more_than_his_share() -> None:
    """One machine that opens lines without end must not close the desk for the others."""
    told: list[Full] = []
    crowd = a_crowd(told)
    assert [crowd.enter("192.0.2.1") for _ in range(3)] == [None, None, Full.ADDRESS]
    assert crowd.enter("192.0.2.2") is None

    crowd.leave("192.0.2.1")
    assert crowd.enter("192.0.2.1") is None
    assert told == [Full.ADDRESS]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8:2::1", "2001:db8:2::ffff:1"),  # a customer has as many as he likes of these
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::2%eth1"),
    ],
)
def test_addresses_of_one_house_are_one(one: str, other: str) -> None:
    """Else the bound costs a change of the last digits."""
    crowd = a_crowd([])

    assert [crowd.enter(one), crowd.enter(other), crowd.enter(other)] == [None, None, Full.ADDRESS]


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "2001:db8:1:9::1", "", "@x"])
def test_a_proxy_stands_for_many(address: str) -> None:
    """Its lines are those of all its clients; so are those of a socket that is a file."""
    crowd = a_crowd([])

    assert [crowd.enter(address) for _ in range(5)] == [None] * 5
    assert crowd.enter(address) is Full.ALL


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["192.0.2.1", "192.0.2.2", "127.0.0.1"]))))
def test_the_count_is_that_of_those_inside(steps: list[tuple[bool, str]]) -> None:
    """Whoever comes and goes in whatever order: no place is lost, and none is given twice."""
    crowd, inside = a_crowd([]), list[str]()
    for comes, address in steps:
        if not comes and address in inside:
            crowd.leave(address)
            inside.remove(address)
        elif comes and crowd.enter(address) is None:
            inside.append(address)

        assert len(crowd) == len(inside) <= 5
        assert all(inside.count(one) <= 2 for one in inside if one != "127.0.0.1")


def test_a_burst_is_taken_and_then_a_steady_rate() -> None:
    """After a pause a client may catch up; it is told how long to wait for the next."""
    bucket = Bucket(rate=2.0, burst=3, now=0.0)
    assert [bucket.take(0.0) for _ in range(4)] == [0, 0, 0, 1]

    assert [bucket.take(0.5), bucket.take(0.5)] == [0, 1]
    assert [bucket.take(100.0) for _ in range(4)] == [0, 0, 0, 1]
    assert Bucket(rate=0.1, burst=1, now=0.0).take(0.0) == 0


def test_a_slow_rate_says_how_slow() -> None:
    """Whoever asks sooner only asks again."""
    bucket = Bucket(rate=0.1, burst=1, now=0.0)
    assert bucket.take(0.0) == 0

    assert bucket.take(2.0) == 8


def test_many_at_once_are_taken_together_or_not_at_all() -> None:
    """Else a batch that is refused would take what a smaller one could have had."""
    bucket = Bucket(rate=2.0, burst=10, now=0.0)
    assert bucket.take(0.0, 7) == 0

    assert bucket.take(0.0, 7) == 2
    assert bucket.take(0.0, 3) == 0
    assert bucket.take(5.0, 10) == 0


def test_a_bucket_says_how_it_stands() -> None:
    """What there is, what is left, and when it is full again."""
    bucket = Bucket(rate=2.0, burst=10, now=0.0)
    bucket.take(0.0, 7)
    wait = bucket.take(0.5, 5)

    standing = bucket.standing(wait)

    assert standing.policies == '"front";q=10;w=5'
    assert (standing.left, standing.wait) == ('"front";r=4;t=3', 1)


@given(
    st.floats(0.01, 1_000.0),
    st.integers(1, 50),
    st.lists(st.tuples(st.floats(0.0, 10.0, allow_nan=False), st.integers(1, 60)), max_size=200),
)
def test_never_more_than_the_rate_and_one_burst(
    rate: float, burst: int, asked: list[tuple[float, int]]
) -> None:
    """Over any run of submits, however they come, alone or many at once."""
    bucket, now, taken = Bucket(rate=rate, burst=burst, now=0.0), 0.0, 0
    for pause, size in asked:
        now += pause
        wait = bucket.take(now, size)
        taken += 0 if wait else size

        assert wait >= 0
        assert taken <= burst + rate * now + 1e-6


def test_a_clock_that_stands_still_gives_nothing_twice() -> None:
    """Nor does one that goes back."""
    bucket = Bucket(rate=1.0, burst=1, now=5.0)
    assert bucket.take(5.0) == 0

    assert bucket.take(5.0) == 1
    assert bucket.take(1.0) == 1
