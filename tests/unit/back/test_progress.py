"""How far running jobs are: of each the newest word, at a bounded rate."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from back_service.progress import ProgressBoard, clip
from shared.contract.errors import Unavailable
from shared.store.pool import Rejected
from tests.support.builders import a_job
from tests.support.waiting import until
from tests.unit.back.fakes import Ears, FakeWork


class Board:
    def __init__(self) -> None:
        self.work, self.ears = FakeWork(), Ears()
        self.board = ProgressBoard(self.work.as_store, self.ears.as_teller)


async def test_of_each_job_the_newest_report_is_stored() -> None:
    """Between two writes only the last word counts."""
    place, one, other = Board(), a_job(token=5), a_job()
    for percent in range(50):
        place.board.report(one, percent, f"page {percent}")
    place.board.report(other, 7.9, "")

    await place.board._write()

    assert place.work.told == [(one.id, 5, 49, "page 49"), (other.id, 1, 7, "")]
    assert [news.job_id for news in place.ears.news] == [one.id, other.id]


async def test_what_was_told_is_not_told_again() -> None:
    """Without a new report there is nothing to write."""
    place = Board()
    place.board.report(a_job(), 1, "")

    await place.board._write()
    await place.board._write()

    assert len(place.work.told) == 1


async def test_an_attempt_that_fails_tells_how_far_it_came() -> None:
    """What it said last is what a person wants to know of it."""
    place, job, other = Board(), a_job(), a_job()
    place.board.report(job, 60, "layer 3")
    place.board.report(other, 10, "")

    await place.board.tell_last(job)
    await place.board.tell_last(job)

    assert place.work.told == [(job.id, 1, 60, "layer 3")]


async def test_an_attempt_that_has_ended_says_no_more() -> None:
    """Its last percent would come after its result."""
    place, job = Board(), a_job()
    place.board.report(job, 99, "nearly")

    place.board.forget(job)
    place.board.forget(job)
    await place.board._write()

    assert place.work.told == []


@pytest.mark.parametrize("trouble", [Unavailable("away"), Rejected("no")])
async def test_progress_that_cannot_be_stored_is_lost_and_no_more(trouble: Exception) -> None:
    """It is no event: no service stops for it."""
    place = Board()
    place.work.troubles = [trouble]
    place.board.report(a_job(), 1, "")
    await place.board._write()

    place.board.report(a_job(), 2, "")
    await place.board._write()

    assert [percent for _, _, percent, _ in place.work.told] == [2]


async def test_the_service_writes_soon_after_a_report() -> None:
    """And rests when nobody has anything to say."""
    place = Board()
    serving = asyncio.create_task(place.board.run())
    place.board.report(a_job(), 1, "")

    async def is_told() -> bool:
        return bool(place.work.told)

    await until(is_told, within=5, every=0.005, what="the report is written")
    serving.cancel()
    await asyncio.wait([serving])


@given(st.text(st.characters(exclude_categories=()), max_size=2_000))
def test_a_message_can_be_stored_and_is_not_endless(message: str) -> None:
    """Whatever a handler says: on one line, and in whole characters."""
    clipped = clip(message)

    assert clipped.encode().decode() == clipped
    assert len(clipped) <= 501
    assert all(c.isprintable() for c in clipped)


def test_a_plain_message_is_kept_as_it_is() -> None:
    """In whatever script it is written."""
    assert clip("Seite 3 von 7, größer als 第") == "Seite 3 von 7, größer als 第"
    assert clip("x" * 501) == "x" * 500 + "…"
