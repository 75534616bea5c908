"""Listing jobs: page after page, as far as the caller reads."""

from contextlib import aclosing
from datetime import UTC, datetime

import pytest
from pydantic import BaseModel

from tests.client.desk import Desk, Reply, answers
from tests.client.documents import a_history, a_job_id, a_status
from uketsuke import JobType
from uketsuke.client import Client
from uketsuke.errors import BadAnswer


async def test_every_page_is_read_to_the_last_job(desk: Desk, client: Client) -> None:
    """Cursors are the client's business, not the caller's."""
    ids = [desk.tells(a_status(a_job_id(), 1, "queued")) for _ in range(5)]

    assert [str(status.job_id) async for status in client.jobs()] == ids
    assert [seen.query.get("cursor") for seen in desk.seen] == [None, "2", "4"]


async def test_a_page_that_nobody_reads_is_not_fetched(desk: Desk, client: Client) -> None:
    """A look at the first jobs costs one request, however many there are."""
    for _ in range(5):
        desk.tells(a_status(a_job_id(), 1, "queued"))

    async with aclosing(client.jobs()) as jobs:
        async for _ in jobs:
            break

    assert len(desk.seen) == 1


async def test_filters_travel_as_the_contract_says(desk: Desk, client: Client) -> None:
    """On every page the same."""
    for _ in range(3):
        desk.tells(*a_history())
    since = datetime(2030, 1, 1, tzinfo=UTC)

    async for _ in client.jobs(
        status="completed", job_type="demo.echo", ordering_key="k", tag="t", created_after=since
    ):
        pass

    wanted = {
        "status": "completed",
        "type": "demo.echo",
        "orderingKey": "k",
        "tag": "t",
        "createdAfter": "2030-01-01T00:00:00Z",
        "limit": "100",
    }
    assert [seen.query for seen in desk.seen] == [wanted, wanted | {"cursor": "2"}]


async def test_a_job_type_may_stand_for_its_name(desk: Desk, client: Client) -> None:
    """Whoever has the type need not spell it."""

    class Request(BaseModel):
        pass

    async for _ in client.jobs(job_type=JobType(name="demo.echo", request=Request)):
        pass

    assert desk.seen[0].query["type"] == "demo.echo"


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(answers(200, {"items": []}), id="no jobs"),
        pytest.param(answers(200, {"jobs": [7]}), id="a job that is a number"),
        pytest.param(answers(200, {"jobs": [], "nextCursor": "1"}), id="empty, and more"),
    ],
)
async def test_a_list_that_is_none_is_one_clear_error(
    desk: Desk, client: Client, page: Reply
) -> None:
    """Nothing endless, nothing half understood."""
    desk.script["list"].append(page)

    with pytest.raises(BadAnswer):
        async for _ in client.jobs():
            pass


async def test_a_cursor_that_leads_to_itself_is_noticed(desk: Desk, client: Client) -> None:
    """A list that never ends is a broken list."""
    one = a_status(a_job_id(), 1, "queued")
    desk.script["list"].extend([answers(200, {"jobs": [one], "nextCursor": "x"})] * 10)

    with pytest.raises(BadAnswer, match="without end"):
        async for _ in client.jobs():
            pass

    assert len(desk.seen) == 2
