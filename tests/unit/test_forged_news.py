"""What anybody may write to the exchange of events: it tells nobody a thing, and breaks none."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import orjson
from aiormq.abc import DeliveredMessage
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from front_service.push.hub import Hub
from front_service.push.listener import Listener
from shared.broker.fanout import LARGEST_EVENT, FanIn
from shared.broker.packs import pack
from shared.contract.events import MOST_NEWS, News, decode_news, encode_news
from shared.contract.ids import THE_TENANT, JobId
from tests.front.memory import MemoryStore
from tests.support.builders import a_job_id
from tests.support.clock import ManualClock

OURS = a_job_id()
ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=5),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=5), below),
    max_leaves=5,
)
ROWS = st.lists(st.tuples(st.just(str(OURS)) | st.uuids().map(str) | ANY, ANY) | ANY, max_size=5)
ALMOST = st.fixed_dictionaries({"v": st.sampled_from([1, 1, 2, "1", None]), "news": ROWS | ANY})
NEWS = (ANY | ALMOST).map(orjson.dumps) | st.binary(max_size=60)
MESSAGES = st.binary(max_size=80) | st.lists(NEWS, max_size=4).map(pack)


class Ears:
    """A fan-in that nobody connected, over a hub where one job is watched."""

    def __init__(self) -> None:
        self.hub = Hub()
        self.listener = Listener(self.hub, MemoryStore(), ManualClock())
        self.heard: list[bytes] = []
        self.fan_in = FanIn(
            "amqp://nowhere", name="front", on_message=self._hear, on_reconnect=lambda: None
        )

    def _hear(self, body: bytes) -> None:
        self.heard.append(body)
        self.listener.hear(body)

    @property
    def wanted(self) -> set[JobId]:
        return set(self.listener._waiting)

    def arrive(self, *messages: bytes) -> list[Any]:
        """Deliver *messages* as the broker does; answer what was logged."""

        async def all_arrive() -> None:
            for body in messages:
                await self.fan_in._arrived(cast("DeliveredMessage", SimpleNamespace(body=body)))

        with capture_logs() as lines, self.hub.watch(THE_TENANT, OURS, 0.0):
            asyncio.run(all_arrive())
        return lines


@settings(max_examples=150)
@given(st.lists(MESSAGES, max_size=8))
def test_i13_forged_news_break_nothing(forged: list[bytes]) -> None:
    """At most one line for each, at most a look at what is watched, and good news are heard."""
    ears = Ears()

    lines = ears.arrive(*forged, pack([encode_news([News(OURS, 7)])]))

    assert {line["event"] for line in lines} <= {"unreadable event"}
    assert len(lines) <= len(forged)
    assert ears.wanted == {OURS}


def test_a_message_that_none_of_us_would_send_is_dropped_unread() -> None:
    """A million empty bodies, or a megabyte of small ones, would be a second of everybody's."""
    ears = Ears()
    news = encode_news([News(OURS, 7)])

    lines = ears.arrive(bytes(4_000_000), pack([news] * 257), pack([b"x" * 1_100] * 256))

    assert [line["event"] for line in lines] == ["unreadable event"] * 3
    assert ears.heard == []


def test_the_largest_that_we_send_is_read() -> None:
    """The caps refuse nothing of ours."""
    ears = Ears()

    lines = ears.arrive(pack([b"x" * LARGEST_EVENT]), pack([b"x" * 1_024] * 256))

    assert lines == []
    assert len(ears.heard) == 257


def test_news_of_too_many_are_read_so_far() -> None:
    """What is left out is found when the store is read again."""
    body = encode_news([News(a_job_id(), 1) for _ in range(MOST_NEWS + 5)])

    assert len(decode_news(body)) == MOST_NEWS
