"""A worker says that it lives, and that it leaves."""

import asyncio

from back_service.announcing import Announcer
from shared.contract.presence import Beat, decode_beat
from shared.runtime.metrics import BackMetrics


class Air:
    def __init__(self) -> None:
        self.said: list[Beat | None] = []
        self.news = asyncio.Event()

    def offer(self, body: bytes, routing_key: str) -> None:
        assert routing_key == "workers"
        self.said.append(decode_beat(body))
        self.news.set()


async def test_the_first_word_is_its_slots_and_the_last_is_none() -> None:
    """Fronts need not wait for silence to know that it drains."""
    air = Air()
    announcer = Announcer(
        air, pools=["b", "a"], types={"demo.echo"}, slots=3, seconds={"demo.echo": 1.23456}
    )
    running = asyncio.create_task(announcer.run())
    await air.news.wait()
    running.cancel()
    await asyncio.wait([running])

    first, last = air.said
    assert first is not None
    assert last is not None
    assert (first.slots, first.pools, first.types) == (3, ("a", "b"), ("demo.echo",))
    assert (last.slots, last.worker) == (0, first.worker)
    assert first.seconds == {"demo.echo": 1.235}


def test_what_is_usual_is_learnt_from_attempts_that_completed() -> None:
    """At first their mean; later the newest counts a tenth, so that a change is noticed."""
    metrics = BackMetrics()
    metrics.ended("a.b", "complete", seconds=1, fenced=False)
    metrics.ended("a.b", "complete", seconds=3, fenced=False)
    metrics.ended("a.b", "fail", seconds=100, fenced=False)
    metrics.ended("a.b", "complete", seconds=100, fenced=True)
    assert metrics.usual_seconds == {"a.b": 2}

    for _ in range(100):
        metrics.ended("a.b", "complete", seconds=10, fenced=False)
    assert 9.9 < metrics.usual_seconds["a.b"] <= 10
