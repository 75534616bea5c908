"""Counting frames on the wire."""

from hypothesis import given
from hypothesis import strategies as st

from front_service.push.frames import FrameMeter
from front_service.push.pace import Pace
from tests.front.peer import masked


class Parser:
    """Remembers what it was given."""

    def __init__(self) -> None:
        self.seen = b""

    def feed_eof(self) -> None:
        self.seen += b"."

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.seen += data
        return False, b""


FRAMES = st.lists(
    st.builds(
        masked,
        st.sampled_from([0, 1, 2, 8, 9, 10]),
        st.sampled_from([0, 1, 125, 126, 65_535, 65_536]).map(bytes),
        final=st.booleans(),
    ),
    max_size=8,
)


@given(FRAMES, st.integers(1, 70_000))
def test_frames_are_counted_however_they_arrive(frames: list[bytes], size: int) -> None:
    """In single bytes, in one piece, or cut anywhere."""
    wire, meter = b"".join(frames), FrameMeter(Parser())
    size = max(size, len(wire) // 200)
    pieces = [wire[at : at + size] for at in range(0, len(wire), size)]

    counts = [meter._count(piece) for piece in pieces]

    assert sum(count for count, _ in counts) == len(frames)
    assert all(all_masked for _, all_masked in counts)


def test_a_flood_is_told_once_and_not_passed_on() -> None:
    """What comes after costs next to nothing."""
    parser, told = Parser(), []
    meter = FrameMeter(parser)
    meter.on_flood = lambda: told.append(1)

    meter.feed_data(masked(1, b"x"))
    for _ in range(3):
        meter.feed_data(masked(0, b"", final=False) * 100)

    assert parser.seen == masked(1, b"x")
    assert told == [1]


@given(FRAMES, st.integers(1, 70_000))
def test_a_frame_without_a_mask_is_seen_wherever_it_stands(frames: list[bytes], size: int) -> None:
    """No client sends one (RFC 6455, 5.1): nothing from there on is passed on."""
    parser, told = Parser(), []
    meter = FrameMeter(parser)
    meter.on_unmasked = lambda: told.append(1)
    before, bare = b"".join(frames), b"\x81\x01x"
    wire = before + bare + masked(1, b"y")
    size = max(size, len(wire) // 50)

    for at in range(0, len(wire), size):
        meter.feed_data(wire[at : at + size])

    assert told == [1]
    assert before.startswith(parser.seen[: len(before)])
    assert b"y" not in parser.seen[len(before) :]


def test_a_pace_is_counted_by_the_second() -> None:
    """By a clock that is handed in."""
    now = [0.0]
    pace = Pace(2, lambda: now[0])

    assert [pace.allows() for _ in range(3)] == [True, True, False]
    now[0] = 1.0
    assert pace.allows()
