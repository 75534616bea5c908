"""Telling the world what was committed, in few messages, without waiting."""

import asyncio

from shared.contract.events import News
from shared.store.rows import OutboxRow
from tests.support.builders import a_job_id
from tests.support.waiting import until
from tests.unit.back.fakes import Ears


async def heard(ears: Ears, count: int) -> None:
    async def is_heard() -> bool:
        return len(ears.news) >= count

    await until(is_heard, within=2, every=0.002, what="the news are told")


async def test_the_first_news_go_at_once() -> None:
    """A lone job's client hears of it without delay."""
    ears = Ears()
    news = News(a_job_id(), 3)

    ears.as_teller.tell([news])

    assert ears.news == [news]


async def test_news_of_one_moment_share_a_message() -> None:
    """A message is dearer than what it says."""
    ears = Ears()
    teller = ears.as_teller
    everything = [News(a_job_id(), n) for n in range(1, 21)]

    for news in everything:
        teller.tell([news])
    await heard(ears, len(everything))

    assert ears.news == everything
    assert ears.messages == 2


async def test_of_each_job_the_newest_number_is_told() -> None:
    """Also when an older one comes after it: it would hide the newer."""
    ears, first, job_id = Ears(), a_job_id(), a_job_id()
    teller = ears.as_teller
    teller.tell([News(first, 1)])

    for sequence in (2, 4, 3):
        teller.tell([News(job_id, sequence)])
    await heard(ears, 2)

    assert ears.news == [News(first, 1), News(job_id, 4)]


async def test_knocks_go_out_at_once() -> None:
    """They are what somebody waits for."""
    ears = Ears()
    row = OutboxRow(id=1, route="r", job_ids=(a_job_id(),), keyed=False, track_ids="")

    ears.as_teller.tell(rows=[row])

    assert ears.rows == [row]
    assert ears.news == []


async def test_having_nothing_to_say_says_nothing() -> None:
    """No empty message, and no timer that goes on for ever."""
    ears = Ears()
    teller = ears.as_teller
    teller.tell()
    teller.tell([News(a_job_id(), 1)])

    await asyncio.sleep(0.05)  # a few of the moments after which it would send again

    assert ears.messages == 1
    assert not teller._rests
