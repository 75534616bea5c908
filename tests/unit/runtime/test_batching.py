"""Group commit: a lone call waits for nobody, a crowd shares one write."""

import asyncio
from collections.abc import Sequence

import pytest

from shared.contract.ids import TrackId
from shared.runtime.batching import Batcher
from shared.runtime.track import current_track_id, tracking


class Desk:
    """Notes what it is given; answers when it is let, with what it was asked."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.answers: dict[int, str | BaseException] = {}
        self.error: BaseException | None = None

    async def write(self, items: Sequence[int]) -> Sequence[str | BaseException]:
        self.batches.append(list(items))
        await self.is_open.wait()
        if self.error is not None:
            raise self.error
        return [self.answers.get(item, f"answer {item}") for item in items]


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_lone_call_waits_for_nobody() -> None:
    """Under light load a submit costs what its own commit costs."""
    desk = Desk()
    batcher = Batcher(desk.write, most=10)

    assert await batcher.submit(1) == "answer 1"
    assert desk.batches == [[1]]


async def test_calls_of_one_moment_share_a_write() -> None:
    """In the order in which they came, each answered in its place."""
    desk = Desk()
    batcher = Batcher(desk.write, most=10)

    answers = await asyncio.gather(*(batcher.submit(n) for n in range(5)))

    assert answers == [f"answer {n}" for n in range(5)]
    assert desk.batches == [[0, 1, 2, 3, 4]]


async def test_what_comes_during_a_write_forms_the_next_one() -> None:
    """The busier it is, the more share a commit: nobody has to be told how busy it is."""
    desk = Desk()
    batcher = Batcher(desk.write, most=10)
    desk.is_open.clear()
    first = batcher.offer(0)
    await settle()
    others = [batcher.offer(n) for n in range(1, 5)]
    await settle()
    assert desk.batches == [[0]]

    desk.is_open.set()

    assert await asyncio.gather(first, *others) == [f"answer {n}" for n in range(5)]
    assert desk.batches == [[0], [1, 2, 3, 4]]


async def test_no_batch_is_larger_than_it_may_be() -> None:
    """The first of a thousand must not wait until all thousand are written."""
    desk = Desk()
    batcher = Batcher(desk.write, most=3)

    await asyncio.gather(*(batcher.submit(n) for n in range(8)))

    assert [len(batch) for batch in desk.batches] == [3, 3, 2]


async def test_several_writes_may_be_under_way() -> None:
    """Where the order between batches means nothing."""
    desk = Desk()
    batcher = Batcher(desk.write, most=1, at_once=2)
    desk.is_open.clear()

    offers = [batcher.offer(n) for n in range(3)]
    await settle()
    assert desk.batches == [[0], [1]]

    desk.is_open.set()
    await asyncio.gather(*offers)


async def test_an_error_goes_to_the_one_it_belongs_to() -> None:
    """Its neighbours never hear of it."""
    desk = Desk()
    desk.answers[1] = ValueError("not you")
    batcher = Batcher(desk.write, most=10)

    answers = await asyncio.gather(*(batcher.submit(n) for n in range(3)), return_exceptions=True)

    assert [type(answer) for answer in answers] == [str, ValueError, str]


async def test_an_error_of_the_write_goes_to_all_of_its_batch() -> None:
    """And to nobody of the next."""
    desk = Desk()
    desk.error = OSError("away")
    batcher = Batcher(desk.write, most=10)

    answers = await asyncio.gather(*(batcher.submit(n) for n in range(3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [OSError] * 3

    desk.error = None
    assert await batcher.submit(7) == "answer 7"


async def test_nobody_waits_for_ever_for_an_answer_that_is_missing() -> None:
    """A mistake of ours: told to everybody, and not by silence."""

    async def forgetful(items: Sequence[int]) -> Sequence[str]:
        return ["answer"] * (len(items) - 1)

    batcher = Batcher(forgetful, most=10)
    offers = [batcher.offer(n) for n in range(3)]

    async with asyncio.timeout(1):
        answers = await asyncio.gather(*offers, return_exceptions=True)

    assert [type(answer) for answer in answers] == [ValueError] * 3


async def test_a_cancelled_caller_takes_nothing_back_that_is_under_way() -> None:
    """The batch is one promise: its neighbours' is kept, and so is its own."""
    desk = Desk()
    batcher = Batcher(desk.write, most=10)
    desk.is_open.clear()
    tasks = [asyncio.create_task(batcher.submit(n)) for n in range(3)]
    await settle()

    tasks[1].cancel()
    await settle()
    desk.is_open.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)

    assert desk.batches == [[0, 1, 2]]
    assert [type(answer) for answer in answers] == [str, asyncio.CancelledError, str]


async def test_a_cancelled_caller_takes_back_what_still_waits() -> None:
    """Nobody would hear the answer, and nothing was promised yet."""
    desk = Desk()
    batcher = Batcher(desk.write, most=10)
    desk.is_open.clear()
    first = batcher.offer(0)
    await settle()
    waiting = [asyncio.create_task(batcher.submit(n)) for n in (1, 2)]
    await settle()

    waiting[0].cancel()
    await settle()
    desk.is_open.set()
    await asyncio.gather(first, *waiting, return_exceptions=True)

    assert desk.batches == [[0], [2]]


async def test_what_waits_behind_a_cancelled_write_is_written_all_the_same() -> None:
    """S27: a library's own cancel must not leave anybody waiting for ever."""
    desk = Desk()
    desk.error = asyncio.CancelledError()
    desk.is_open.clear()
    batcher = Batcher(desk.write, most=1)
    first = batcher.offer(0)
    await settle()
    second = batcher.offer(1)
    desk.is_open.set()
    await asyncio.gather(first, return_exceptions=True)
    desk.error = None

    async with asyncio.timeout(1):
        third = await batcher.submit(2)
        await asyncio.wait([second])

    assert third == "answer 2"


async def test_draining_waits_for_all_that_was_handed_in() -> None:
    """At the end of a service nothing that was promised is left."""
    desk = Desk()
    batcher = Batcher(desk.write, most=2)
    offers = [batcher.offer(n) for n in range(5)]

    await batcher.drain()

    assert all(offer.done() for offer in offers)
    await batcher.drain()  # there is nothing left to wait for


async def test_an_offer_that_nobody_waits_for_may_fail_in_silence() -> None:
    """Whoever only wanted it done some time soon is not warned about it."""
    desk = Desk()
    desk.error = OSError("away")
    batcher = Batcher(desk.write, most=10)

    batcher.offer(1)
    await batcher.drain()

    assert desk.batches == [[1]]


async def test_where_nobody_waits_it_may_gather_for_a_moment() -> None:
    """Confirmed knocks are dropped by the hundred, not one by one."""
    desk = Desk()
    batcher = Batcher(desk.write, most=10, linger=0.01)

    batcher.offer(1)
    await settle()
    batcher.offer(2)
    await batcher.drain()

    assert desk.batches == [[1, 2]]


@pytest.mark.parametrize("count", [1, 7, 50])
async def test_every_call_is_answered_once(count: int) -> None:
    """However they arrive: in one moment, or one after the other."""
    desk = Desk()
    batcher = Batcher(desk.write, most=4)

    async def call(number: int) -> str:
        for _ in range(number % 5):
            await asyncio.sleep(0)
        return await batcher.submit(number)

    answers = await asyncio.gather(*(call(n) for n in range(count)))

    assert answers == [f"answer {n}" for n in range(count)]
    assert sorted(n for batch in desk.batches for n in batch) == list(range(count))


async def test_an_impatient_caller_takes_back_what_was_not_begun() -> None:
    """Who was told *try again* must not find that it was done after all."""
    desk = Desk()
    desk.is_open.clear()
    batcher = Batcher(desk.write, most=1, patience=0.01)
    begun, waiting = batcher.offer(1), batcher.offer(2)

    for call in (begun, waiting):
        with pytest.raises(TimeoutError):
            await call
    desk.is_open.set()
    await batcher.drain()

    assert desk.batches == [[1]]


async def test_an_answer_in_time_is_not_disturbed() -> None:
    """The clock of one caller does not end the wait of another that came later."""
    desk = Desk()
    batcher = Batcher(desk.write, most=10, patience=0.05)
    assert await batcher.submit(1) == "answer 1"
    desk.is_open.clear()
    late = batcher.offer(2)
    with pytest.raises(TimeoutError):
        await late
    desk.is_open.set()

    assert await batcher.submit(3) == "answer 3"


async def test_a_batch_that_everybody_left_is_not_written() -> None:
    """No question is asked for nobody."""
    desk = Desk()
    desk.is_open.clear()
    batcher = Batcher(desk.write, most=10)
    batcher.offer(1)
    await settle()
    batcher.offer(2).cancel()

    desk.is_open.set()
    await batcher.drain()

    assert desk.batches == [[1]]


async def test_what_takes_longer_does_not_hold_up_the_next_batch() -> None:
    """One item may be answered later than its neighbours, and only its caller waits for it."""
    later: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def write(items: Sequence[int]) -> Sequence[str | asyncio.Future[str]]:
        return [later if item == 1 else f"answer {item}" for item in items]

    batcher = Batcher(write, most=10)
    slow, quick = batcher.offer(1), batcher.offer(2)

    assert await quick == "answer 2"
    assert await batcher.submit(3) == "answer 3"
    assert not slow.done()
    later.set_result("at last")
    assert await slow == "at last"


async def test_what_takes_longer_is_called_off_when_its_caller_goes_away() -> None:
    """Nobody works on what nobody waits for."""
    later: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def write(items: Sequence[int]) -> Sequence[str | asyncio.Future[str]]:
        return [later for _ in items]

    batcher = Batcher(write, most=10)
    call = batcher.offer(1)
    await batcher.drain()

    call.cancel()
    await settle()

    assert later.cancelled()


async def test_a_batch_is_nobodys_own() -> None:
    """A log line of a shared write must not bear the TrackID of whoever came first."""
    seen: list[TrackId | None] = []

    async def write(items: Sequence[int]) -> Sequence[int]:
        seen.append(current_track_id())
        return items

    batcher = Batcher(write, most=10)
    with tracking(TrackId("first")):
        await batcher.submit(1)

    assert seen == [None]


async def test_it_counts_what_waits_and_what_is_under_way() -> None:
    """Whoever must not let too much wait has to see both; what was answered is neither."""
    desk = Desk()
    desk.is_open.clear()
    batcher = Batcher(desk.write, most=2)
    calls = [asyncio.ensure_future(batcher.submit(n)) for n in range(5)]
    await settle()
    assert len(batcher) == 5

    desk.is_open.set()
    await asyncio.gather(*calls)
    await settle()

    assert len(batcher) == 0


@pytest.mark.parametrize("error", [None, OSError("away")])
async def test_it_tells_of_every_write(error: OSError | None) -> None:
    """How many it was for, and how long it took: one that failed as well."""
    desk, told = Desk(), list[tuple[int, float]]()
    desk.error = error
    batcher = Batcher(desk.write, most=2, on_flush=lambda size, took: told.append((size, took)))

    await asyncio.gather(*(batcher.submit(n) for n in range(5)), return_exceptions=True)
    await settle()

    assert [size for size, _ in told] == [2, 2, 1]
    assert all(0 <= took < 60 for _, took in told)
