"""What workers say of themselves: read as it was written, and never trusted."""

import orjson
import pytest

from shared.contract.events import decode_news, encode_news
from shared.contract.presence import Beat, decode_beat, encode_beat

BEAT = Beat(
    worker="w", slots=4, pools=("default",), types=("demo.echo",), seconds={"demo.echo": 1.5}
)


def test_a_beat_is_read_as_it_was_written() -> None:
    """Fronts and backs share nothing but this."""
    assert decode_beat(encode_beat(BEAT)) == BEAT


def test_beats_and_news_travel_together_and_are_told_apart() -> None:
    """A front that does not know beats yet passes over them, and the other way round."""
    assert decode_news(encode_beat(BEAT)) == []
    assert decode_beat(encode_news([])) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"slots": -1},
        {"slots": True},
        {"slots": 10**9},
        {"slots": "4"},
        {"worker": None},
        {"worker": "w" * 201},
        {"pools": "default"},
        {"types": [1]},
        {"types": ["a"] * 1_001},
        {"seconds": {"demo.echo": -1}},
        {"seconds": {"demo.echo": "1"}},
        {"seconds": None},
    ],
)
def test_nonsense_is_no_beat(wrong: dict[str, object]) -> None:
    """Whoever may publish an event could write this."""
    said = orjson.loads(encode_beat(BEAT))["beat"] | wrong

    assert decode_beat(orjson.dumps({"v": 1, "beat": said})) is None


def test_half_a_beat_is_none() -> None:
    """A member that is missing, and bytes that are."""
    assert decode_beat(b'{"v":1,"beat":{}}') is None
    assert decode_beat(encode_beat(BEAT)[:-1]) is None
