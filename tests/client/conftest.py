"""A desk to call, and clients whose time stands still."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.client.desk import Desk
from tests.client.stated import StatedClock
from uketsuke.client import Client

Opens = Callable[..., Awaitable[Client]]


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    desk = Desk()
    await desk.open()
    yield desk
    await desk.close()


@pytest.fixture
def clock() -> StatedClock:
    return StatedClock()


@pytest.fixture
async def open_client(desk: Desk, clock: StatedClock) -> AsyncIterator[Opens]:
    """Open clients of the desk: stated time, and dice that always show the lowest."""
    async with AsyncExitStack() as stack:

        async def opens(base_url: str | None = None, **wishes: Any) -> Client:
            given: dict[str, Any] = {"clock": clock, "dice": lambda: 0.0} | wishes
            return await stack.enter_async_context(Client(base_url or desk.url, **given))

        yield opens


@pytest.fixture
async def client(open_client: Opens) -> Client:
    return await open_client()
