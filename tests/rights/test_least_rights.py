"""The services run with no more rights than the manifests and the grants give them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from deploy.local.stack import Stack
from shared.broker.provision import provide
from tests.rights.databases import as_role, open_database
from tests.rights.users import open_users
from tests.support.house import House, open_house
from tests.support.waiting import until

pytestmark = [pytest.mark.servers, pytest.mark.acceptance]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A front, a worker and an upkeep, each with its rights."""

    house: House
    url: str


@pytest.fixture
async def desk(stack: Stack, tmp_path: Path) -> AsyncIterator[Desk]:
    """A deploy as the manifests have it: topology and schema made by others than the services."""
    async with (
        open_house(stack, tmp_path) as house,
        open_users(stack) as users,
        open_database() as url,
    ):
        await provide(users["topology"], ["default"], patience=30)
        of_front = {"amqp_url": users["front"], "database_url": as_role(url, "uketsuke_front")}
        of_back = {"amqp_url": users["back"], "database_url": as_role(url, "uketsuke_back")}
        front = await house.front(declare_topology="no", **of_front)
        await house.back(declare_topology="no", roles="work", **of_back)
        upkeep = house.start("back_service", declare_topology="no", roles="upkeep", **of_back)

        async def keeps_up() -> bool:
            return "broker connected" in upkeep.logged

        await until(keeps_up, within=30, what="upkeep is connected")
        yield Desk(house=house, url=house.url(front))


async def test_a_job_that_is_due_later_passes_through_all_of_them(desk: Desk) -> None:
    """Front, scheduler and worker are three processes here, and each may do its part alone."""
    body = {"payload": {"n": 1}, "job": {"delaySeconds": 0.5, "orderingKey": "k"}}
    async with aiohttp.ClientSession(desk.url) as session:
        async with session.post("/api/demo/echo", json=body) as answer:
            ticket = await answer.json()
            assert answer.status == 202, ticket

        async def has_ended() -> Any:
            async with session.get(ticket["statusUrl"]) as answer:
                status = await answer.json()
            return status if status["status"] not in ("pending", "processing") else None

        status = await until(has_ended, within=20, what="the job has an ending")

    assert status["results"] == {"n": 1}
    refused = ("permission denied", "ACCESS_REFUSED", "out of reach", "put off")
    logs = [path.read_text() for path in sorted(desk.house.folder.glob("*.log"))]
    assert len(logs) == 3
    assert [word for log in logs for word in refused if word in log] == []
