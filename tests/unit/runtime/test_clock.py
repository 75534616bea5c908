"""Chance and ids, as the machine gives them."""

import asyncio
import os

from shared.runtime.clock import Entropy, fresh_job_id
from shared.runtime.track import current_track_id, follow, fresh_track_id, tracking


def test_no_bytes_are_given_twice() -> None:
    """They are drawn in lots, and each is used once."""
    entropy = Entropy()

    given = [entropy.take(10) for _ in range(2_000)]

    assert len(set(given)) == len(given)
    assert {len(one) for one in given} == {10}


def test_a_lot_that_is_nearly_used_up_is_not_stretched() -> None:
    """What is asked for is what comes."""
    entropy = Entropy()

    assert len(entropy.take(4_090)) == 4_090
    assert len(entropy.take(10)) == 10
    assert len(entropy.take(4_096)) == 4_096


def test_a_forked_child_draws_a_lot_of_its_own() -> None:
    """Else parent and child would hand out the same ids."""
    fresh_job_id()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, fresh_job_id().bytes)
        os._exit(0)
    os.waitpid(child, 0)

    assert os.read(reading, 16)[6:] != fresh_job_id().bytes[6:]
    os.close(reading)
    os.close(writing)


def test_fresh_ids_are_in_order_by_the_millisecond() -> None:
    """New rows land at one edge of the index."""
    made = [fresh_job_id().int >> 80 for _ in range(100)]

    assert made == sorted(made)


def test_a_track_id_lasts_as_long_as_its_block() -> None:
    """Whatever is said inside bears it, and nothing after."""
    outer, inner = fresh_track_id(), fresh_track_id()
    with tracking(outer):
        with tracking(inner):
            assert current_track_id() == inner
        assert current_track_id() == outer
    assert current_track_id() is None


async def test_a_task_follows_its_own_track_id() -> None:
    """Jobs that run side by side do not sign each other's lines."""

    async def work() -> bool:
        mine = fresh_track_id()
        follow(mine)
        await asyncio.sleep(0)
        return current_track_id() == mine

    assert all(await asyncio.gather(*(work() for _ in range(5))))
    assert current_track_id() is None
