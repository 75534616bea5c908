"""News: what nobody watches costs nothing, what somebody watches is read from the store."""

from collections.abc import Iterable

from front_service.push.hub import Hub
from front_service.push.listener import Listener
from shared.contract.events import News, encode_news
from shared.contract.ids import THE_TENANT, JobId
from tests.front.memory import MemoryStore
from tests.support.builders import a_job_id
from tests.support.clock import ManualClock


class Counted(Hub):
    """A hub that counts how often all that is watched was listed."""

    lists = 0

    def watched(self) -> Iterable[JobId]:
        self.lists += 1
        return super().watched()


async def test_news_are_taken_without_a_list_of_all_that_is_watched() -> None:
    """A thousand watchers and a thousand messages a second would be a million ids a second."""
    hub, clock = Counted(), ManualClock()
    listener = Listener(hub, MemoryStore(), clock)
    ours, theirs = a_job_id(), a_job_id()

    listener.hear(encode_news([News(theirs, 1)]))
    with hub.watch(THE_TENANT, ours, clock.monotonic()):
        listener.hear(encode_news([News(ours, 1), News(theirs, 1)]))

    assert hub.lists == 0
