"""Early knocks: an idle worker begins at once, and nothing is relied on."""

import pytest

from back_service.ahead import Ahead
from shared.contract.errors import Unavailable
from shared.contract.messages import Knock, encode_knock
from shared.contract.states import State
from tests.support.builders import a_job_id
from tests.unit.back.deliveries import Inbox
from tests.unit.back.fakes import settle
from tests.unit.back.test_consumer import Works


async def test_an_idle_worker_does_not_wait_for_the_real_knock() -> None:
    """It follows, and costs no second claim."""
    works = Works()
    [job_id] = works.queue(1)
    async with works.open():
        works.inbox.put_early("7", encode_knock([job_id], keyed=False))
        await works.until(lambda: works.begun == [job_id], "it runs")
        tag = works.knock(job_id, message_id="7")
        await works.until(lambda: works.broker.acked == [tag], "the real knock is acknowledged")

    assert works.work.claims == [[job_id]]
    assert [news.job_id for news in works.ears.news][:1] == [job_id]


async def test_a_worker_without_room_leaves_an_early_knock_alone() -> None:
    """Somebody idle hears of the real one; and the slot for high priority stays free."""
    works = Works(slots=2)
    first, second = works.queue(2)
    async with works.open():
        works.knock(first)
        await works.until(lambda: works.begun == [first], "it runs")
        works.inbox.put_early("7", encode_knock([second], keyed=False))
        await works.until(lambda: not works.inbox.early, "it was heard")
        await settle()

        assert works.work.claims == [[first]]
        assert works.work.states[second] is State.QUEUED


async def test_what_an_early_claim_could_not_have_the_real_knock_brings() -> None:
    """One try and no more: whoever has no answer does not keep the others waiting."""
    works = Works()
    [job_id] = works.queue(1)
    async with works.open():
        works.work.troubles = [Unavailable("away")]
        works.inbox.put_early("7", encode_knock([job_id], keyed=False))
        await works.until(lambda: not works.work.troubles, "it was tried")
        works.knock(job_id, message_id="7")
        await works.until(lambda: works.begun == [job_id], "it runs")


async def test_a_later_knock_for_a_job_that_was_heard_early_is_answered() -> None:
    """After a retry, say: it stands for another row, so the job is claimed again."""
    works = Works()
    [job_id] = works.queue(1)
    async with works.open():
        works.inbox.put_early("7", encode_knock([job_id], keyed=False))
        await works.until(lambda: works.begun == [job_id], "it runs")
        tag = works.knock(job_id, message_id="8")
        await works.until(lambda: works.broker.acked == [tag], "the later knock is acknowledged")

    assert works.work.claims == [[job_id], [job_id]]


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"version":2}', b'{"version":1,"job_ids":[]}', b"\xff" * 40]
)
async def test_an_early_knock_that_cannot_be_read_is_dropped(body: bytes) -> None:
    """The real one is judged; this one may come from anybody who may publish."""
    works = Works()
    [job_id] = works.queue(1)
    async with works.open():
        works.inbox.put_early("7", body)
        works.inbox.put_early("8", encode_knock([job_id], keyed=False))
        await works.until(lambda: works.begun == [job_id], "the next one is heard")


def test_a_gathered_knock_is_no_repetition_of_one_that_it_contains() -> None:
    """The relay puts rows together under the name of the first."""
    first, second = a_job_id(), a_job_id()
    ahead = Ahead(Inbox().early)
    ahead.note("7", [first])

    assert not ahead.has_claimed("7", Knock(job_ids=(first, second)))


def test_what_was_claimed_early_answers_one_knock() -> None:
    """A knock that comes twice is a duplicate for the store to judge."""
    job_id = a_job_id()
    ahead = Ahead(Inbox().early)
    ahead.note("7", [job_id])

    assert ahead.has_claimed("7", Knock(job_ids=(job_id,)))
    assert not ahead.has_claimed("7", Knock(job_ids=(job_id,)))
    assert not ahead.has_claimed(None, Knock(job_ids=(job_id,)))


def test_knocks_that_never_came_are_forgotten() -> None:
    """There is room for so many; then the oldest goes."""
    job_id = a_job_id()
    ahead = Ahead(Inbox().early)
    for number in range(1_000):
        ahead.note(str(number), [job_id])

    assert not ahead.has_claimed("0", Knock(job_ids=(job_id,)))
    assert ahead.has_claimed("999", Knock(job_ids=(job_id,)))
