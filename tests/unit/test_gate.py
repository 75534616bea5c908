"""When submits are refused because others wait: judged without a socket, a store or the time."""

from dataclasses import dataclass, field

import pytest

from front_service.gate import Gate
from shared.contract.errors import Unavailable


@dataclass
class Queue:
    """A gate, and how many submits wait behind it at what time."""

    now: float = 100.0
    waiting: int = 0
    gate: Gate = field(init=False)

    def __post_init__(self) -> None:
        self.gate = Gate(self, lambda: self.waiting, most=1_000)

    def monotonic(self) -> float:
        return self.now

    def lets_in(self) -> bool:
        try:
            self.gate.check()
        except Unavailable:
            return False
        return True

    def flood(self) -> None:
        """Have a queue for longer than a burst."""
        self.waiting = 500
        assert self.lets_in()
        self.now += 0.9
        assert not self.lets_in()


def test_a_burst_is_let_in() -> None:
    """Many at once, after which there is silence, are no reason to refuse any of them."""
    queue = Queue()
    for waiting in range(999):
        queue.waiting = waiting
        assert queue.lets_in()
    queue.now += 0.4

    assert queue.lets_in()


def test_a_burst_has_a_bound() -> None:
    """What would wait too long for any caller is refused from the first moment on."""
    queue = Queue(waiting=1_000)

    assert not queue.lets_in()
    queue.waiting = 999
    assert queue.lets_in()


def test_a_queue_that_lasts_is_a_flood() -> None:
    """From then on only as many are let in as the next commits take."""
    queue = Queue()
    queue.flood()

    queue.waiting = queue.gate.limit
    assert not queue.lets_in()
    queue.waiting = queue.gate.limit - 1
    assert queue.lets_in()


def test_those_who_are_refused_together_do_not_come_back_together() -> None:
    """Else the flood is there again, whole, a second later."""
    queue = Queue()

    assert {queue.gate.refusal().retry_after for _ in range(10)} == {1, 2, 3}


def test_a_queue_that_ends_now_and_then_is_no_flood() -> None:
    """Patient callers, each of whom waits for his answer, are served however many they are."""
    queue = Queue()
    for _ in range(20):
        for waiting in (500, 10):
            queue.waiting, queue.now = waiting, queue.now + 0.3
            assert queue.lets_in()


def test_a_flood_is_over_after_a_second_without_refusals() -> None:
    """Until then a pause between two waves does not open the gate to the next one."""
    queue = Queue()
    queue.flood()

    queue.waiting, queue.now = 10, queue.now + 0.9
    assert queue.lets_in()
    queue.waiting = 500
    assert not queue.lets_in()
    queue.waiting, queue.now = 10, queue.now + 1.1
    assert queue.lets_in()
    queue.waiting = 500
    assert queue.lets_in()


def test_slow_commits_shrink_the_queue_and_quick_ones_let_it_grow() -> None:
    """Down to what a commit should have at least, up to the bound of a burst."""
    queue = Queue()
    queue.flood()
    before = queue.gate.limit
    for _ in range(100):
        queue.gate.committed(60, 0.05)
    least = queue.gate.limit
    for _ in range(1_000):
        queue.gate.committed(60, 0.005)

    assert least == 48
    assert least < before < queue.gate.limit == 1_000


def test_a_database_that_is_slow_by_itself_is_no_flood() -> None:
    """What a lone commit takes there is what one may take: to refuse would not make it quicker."""
    queue = Queue()
    for _ in range(50):
        queue.gate.committed(1, 0.05)
    queue.flood()
    before = queue.gate.limit

    queue.gate.committed(60, 0.1)

    assert queue.gate.limit > before


def test_a_few_commits_that_had_to_wait_are_not_the_usual_ones() -> None:
    """The first of a process, or those of a crowded moment, must not let a flood wait longer."""
    queue = Queue()
    for seconds in (0.08, 0.06, *[0.004] * 20, *[0.03] * 5):
        queue.gate.committed(1, seconds)
    queue.flood()
    before = queue.gate.limit

    queue.gate.committed(60, 0.03)

    assert queue.gate.limit < before


def test_the_turnstile_gives_out_once_what_a_commit_made_room_for() -> None:
    """All that comes in between two commits finds the same queue: it must not all fit."""
    queue = Queue()
    queue.flood()
    queue.waiting = queue.gate.limit - 10
    queue.gate.committed(100, 0.005)
    room = queue.gate.limit - queue.waiting

    let_through = [not queue.gate.turns_away() for _ in range(100)]

    assert sum(let_through) == room


def test_the_turnstile_opens_when_nobody_waits() -> None:
    """What was let through may have been bad: then no commit comes that makes room."""
    queue = Queue()
    queue.flood()
    queue.gate.committed(100, 0.005)
    queue.waiting = 0
    for _ in range(3):
        queue.now += 0.1
        let_through = [not queue.gate.turns_away() for _ in range(1_000)]
        assert sum(let_through) == queue.gate.limit


@pytest.mark.parametrize("waiting", [0, 100, 900])
def test_without_a_flood_the_turnstile_turns_nobody_away(waiting: int) -> None:
    """A burst is judged where its requests are read."""
    queue = Queue(waiting=waiting)

    assert not any(queue.gate.turns_away() for _ in range(10))
