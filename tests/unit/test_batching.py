"""What callers of a common write are promised."""

import asyncio
from collections.abc import Sequence

from shared.runtime.batching import Batcher


class Desk:
    """Writes a batch when it is told to, and remembers it."""

    def __init__(self) -> None:
        self.written: list[Sequence[str]] = []
        self.begun, self.may_go_on = asyncio.Event(), asyncio.Event()

    async def write(self, batch: Sequence[str]) -> Sequence[str]:
        self.written.append(batch)
        self.begun.set()
        await self.may_go_on.wait()
        return [item.upper() for item in batch]


async def test_what_arrives_during_a_write_goes_together_in_the_next() -> None:
    """A crowd pays for few transactions, and each gets its own answer."""
    desk = Desk()
    batcher = Batcher(desk.write, most=10)
    first = batcher.offer("a")
    await desk.begun.wait()
    others = [batcher.offer(item) for item in "bcd"]

    desk.may_go_on.set()

    assert await asyncio.gather(first, *others) == ["A", "B", "C", "D"]
    assert desk.written == [["a"], ["b", "c", "d"]]


async def test_who_stops_waiting_takes_back_what_was_not_begun() -> None:
    """A caller who was told *try again* must not find that it was done after all."""
    desk = Desk()
    batcher = Batcher(desk.write, most=10)
    first = batcher.offer("begun")
    await desk.begun.wait()
    second, third = batcher.offer("taken back"), batcher.offer("kept")

    first.cancel()
    second.cancel()
    desk.may_go_on.set()

    assert await third == "KEPT"
    assert desk.written == [["begun"], ["kept"]]


async def test_a_batch_that_everybody_left_is_not_written() -> None:
    """No question is asked for nobody."""
    desk = Desk()
    batcher = Batcher(desk.write, most=10)
    batcher.offer("begun")
    await desk.begun.wait()
    batcher.offer("left").cancel()

    desk.may_go_on.set()
    await batcher.drain()

    assert desk.written == [["begun"]]
