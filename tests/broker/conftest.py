"""Each test has a pool of its own on the real broker, and leaves neither queues nor tasks."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.broker.scene import Yard, until
from tests.support.fault_proxy import Proxy, open_proxy
from tests.support.needs import need_setting


@pytest.fixture
def amqp_url() -> str:
    return need_setting("UKETSUKE_TEST_AMQP_URL")


@pytest.fixture
async def yard(amqp_url: str) -> AsyncIterator[Yard]:
    yard = Yard(amqp_url)
    yield yard
    await yard.close()


@pytest.fixture
async def proxy(amqp_url: str) -> AsyncIterator[Proxy]:
    async with open_proxy(amqp_url) as proxy:
        yield proxy


@pytest.fixture(autouse=True)
async def _no_task_is_left_behind() -> AsyncIterator[None]:
    before = _others()
    yield
    await until(lambda: _others() <= before, within=10)


def _others() -> set[asyncio.Task[Any]]:
    """All tasks but the one that asks; each part of a fixture runs in one of its own."""
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}
