"""Who takes nothing of what he asked for is cut off; who takes it slowly is not."""

from front_service.readers import Readers
from shared.runtime.clock import SystemClock


class Stopped(SystemClock):
    now = 0.0

    def monotonic(self) -> float:
        return self.now


class Line:
    """A connection with *left* bytes that its peer has not taken."""

    def __init__(self, left: int) -> None:
        self.left, self.is_cut = left, False

    def unread(self) -> int:
        return self.left

    def cut(self) -> None:
        self.is_cut = True


def watched(*lines: Line) -> tuple[Readers, Stopped]:
    clock = Stopped()
    readers = Readers(clock, patience=10.0)
    for line in lines:
        readers.connected(line)
    readers.sweep()
    return readers, clock


def test_who_takes_nothing_is_cut_off() -> None:
    """After so long, and not before; who has nothing to take may be silent for ever."""
    deaf, idle = Line(100_000), Line(0)
    readers, clock = watched(deaf, idle)

    clock.now = 9.9
    readers.sweep()
    assert not deaf.is_cut
    clock.now = 10.0
    readers.sweep()

    assert (deaf.is_cut, idle.is_cut) == (True, False)


def test_who_takes_a_little_now_and_then_is_cut_off_as_well() -> None:
    """A byte every nine seconds would hold an answer for years."""
    trickle = Line(100_000)
    readers, clock = watched(trickle)
    for clock.now in (4.0, 8.0, 12.0):
        trickle.left -= 1
        readers.sweep()

    assert trickle.is_cut


def test_who_takes_enough_is_left_alone() -> None:
    """Over a poor line an answer may last as long as it likes."""
    slow = Line(100_000)
    readers, clock = watched(slow)
    for clock.now in range(9, 90, 9):
        slow.left -= 10_240
        readers.sweep()

    assert not slow.is_cut


def test_more_to_take_does_not_turn_back_the_clock() -> None:
    """Who asks again and again, and takes nothing, is no better than who asked once."""
    greedy = Line(1_000)
    readers, clock = watched(greedy)
    for clock.now in (5.0, 10.0):
        greedy.left += 1_000
        readers.sweep()

    assert greedy.is_cut


def test_who_has_caught_up_begins_anew() -> None:
    """What came before is forgiven."""
    late = Line(1_000)
    readers, clock = watched(late)
    late.left, clock.now = 0, 9.0
    readers.sweep()
    late.left, clock.now = 1_000, 11.0
    readers.sweep()

    assert not late.is_cut


def test_who_has_gone_is_forgotten() -> None:
    """Nobody is cut twice."""
    gone = Line(1_000)
    readers, clock = watched(gone)
    readers.gone(gone)
    clock.now = 20.0
    readers.sweep()

    assert not gone.is_cut
