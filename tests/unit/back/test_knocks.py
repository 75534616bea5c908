"""Knocks in hand: what is picked, kept, given up and put back."""

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from back_service.knocks import OPEN_PATIENCE, WAIT_PATIENCE, Hand, shelved
from shared.broker.delivery import Delivery
from shared.contract.ids import JobId
from shared.contract.messages import decode_knock
from tests.support.builders import a_job_id
from tests.unit.back.deliveries import HIGH, LOW, NORMAL, Broker

NOW = 1_000.0


def a_hand() -> Hand:
    return Hand([HIGH, NORMAL, LOW])


def ids(count: int) -> list[JobId]:
    return [a_job_id() for _ in range(count)]


def take(hand: Hand, delivery: Delivery, now: float = NOW) -> Delivery:
    hand.take(delivery, decode_knock(delivery.body), now)
    return delivery


def test_no_more_is_picked_than_there_is_room_for() -> None:
    """What is claimed must run: the rest of a knock stays in hand."""
    hand, named = a_hand(), ids(5)
    delivery = take(hand, Broker().deliver(*named))

    first, second = hand.pick(3), hand.pick(3)

    assert (first.job_ids, first.done) == (named[:3], [])
    assert (second.job_ids, second.done) == (named[3:], [delivery])
    assert len(hand) == 0


def test_without_room_nothing_is_picked() -> None:
    """Nor with less than none."""
    hand = a_hand()
    take(hand, Broker().deliver(*ids(1)))

    assert hand.pick(0).job_ids == []
    assert hand.pick(-1).job_ids == []
    assert hand.named(NORMAL) == 1


def test_within_a_route_the_oldest_comes_first() -> None:
    """A queue keeps its order, also in our hands."""
    hand, broker, named = a_hand(), Broker(), ids(4)
    take(hand, broker.deliver(*named[:2]))
    take(hand, broker.deliver(*named[2:]))

    assert hand.pick(4).job_ids == named


def test_high_is_picked_before_the_others() -> None:
    """And the others have their share in the same pick."""
    hand, broker = a_hand(), Broker()
    named = {route: ids(20) for route in (LOW, NORMAL, HIGH)}
    for route, some in named.items():
        for job_id in some:
            take(hand, broker.deliver(job_id, route=route))

    picked = hand.pick(10).job_ids

    assert picked[0] == named[HIGH][0]
    assert len(set(picked) & set(named[HIGH])) == 6
    assert len(set(picked) & set(named[LOW])) == 1


def test_the_last_slot_can_be_kept_for_high() -> None:
    """A full worker still answers an urgent knock at once."""
    hand, broker = a_hand(), Broker()
    [urgent], [usual] = ids(1), ids(1)
    take(hand, broker.deliver(usual))

    assert hand.pick(1, only_high=True).job_ids == []

    take(hand, broker.deliver(urgent, route=HIGH))
    assert hand.pick(1, only_high=True).job_ids == [urgent]


def test_one_keyed_knock_makes_the_pick_keyed() -> None:
    """Its keys must be locked before the claim."""
    hand, broker = a_hand(), Broker()
    take(hand, broker.deliver(*ids(1)))
    take(hand, broker.deliver(*ids(1), keyed=True))

    assert not hand.pick(1).keyed
    assert hand.pick(1).keyed


def test_a_knock_that_names_a_job_twice_names_it_once() -> None:
    """A forged knock must not take two slots for one job."""
    hand, [job_id] = a_hand(), ids(1)
    take(hand, Broker().deliver(job_id, job_id))

    assert hand.pick(5).job_ids == [job_id]


def test_what_has_been_in_hand_for_too_long_is_given_up() -> None:
    """Another worker may have room; the oldest go first, the fresh ones stay."""
    hand, broker = a_hand(), Broker()
    old = take(hand, broker.deliver(*ids(2)), NOW)
    take(hand, broker.deliver(*ids(2)), NOW + OPEN_PATIENCE)

    released = hand.release(NOW + OPEN_PATIENCE + 0.1)

    assert [knock.delivery for knock in released] == [old]
    assert len(hand) == 1


def test_only_the_rest_of_a_knock_is_given_up() -> None:
    """What was claimed of it runs here."""
    hand, named = a_hand(), ids(3)
    take(hand, Broker().deliver(*named))
    hand.pick(1)

    [released] = hand.release(NOW + 60)

    assert list(released.left) == named[1:]


def test_what_could_not_be_given_up_is_put_back_in_front() -> None:
    """The database was away: it is tried again, after another while."""
    hand, broker, named = a_hand(), Broker(), ids(2)
    take(hand, broker.deliver(named[0]))
    [released] = hand.release(NOW + 60)
    take(hand, broker.deliver(named[1]), NOW + 60)

    hand.restore(released, NOW + 60)

    assert hand.release(NOW + 60) == []
    assert hand.pick(2).job_ids == named


def test_a_leaving_worker_forgets_what_it_has_in_hand() -> None:
    """The broker gives it to others as soon as the channel closes."""
    hand = a_hand()
    take(hand, Broker().deliver(*ids(3)))

    hand.forget()

    assert len(hand) == 0
    assert hand.pick(9).job_ids == []


def test_a_knock_that_waits_untouched_is_taken_down_after_a_while() -> None:
    """Prefetched, and nobody here will have room for it."""
    broker = Broker()
    late = broker.deliver(*ids(1), at=NOW)
    fresh = broker.deliver(*ids(1), at=NOW + WAIT_PATIENCE)
    waiting = {NORMAL: deque([late, fresh])}

    assert shelved(waiting, NOW + WAIT_PATIENCE + 0.1) == [late]
    assert list(waiting[NORMAL]) == [fresh]


@given(
    st.lists(st.tuples(st.sampled_from([HIGH, NORMAL, LOW]), st.integers(1, 32)), max_size=12),
    st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=40),
)
def test_every_job_is_picked_once_and_every_knock_done_once(
    shapes: list[tuple[str, int]], picks: list[tuple[int, bool]]
) -> None:
    """Nothing is lost between two picks, whatever their sizes."""
    hand, broker = a_hand(), Broker()
    named = {take(hand, broker.deliver(*ids(n), route=route)).tag: n for route, n in shapes}
    picked, done = list[JobId](), list[int]()

    for free, only_high in [*picks, (1_000, False)]:
        some = hand.pick(free, only_high=only_high)
        assert len(some.job_ids) <= free
        picked += some.job_ids
        done += [delivery.tag for delivery in some.done]

    assert len(picked) == len(set(picked)) == sum(named.values())
    assert sorted(done) == sorted(named)
    assert len(hand) == 0
