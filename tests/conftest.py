"""Fixtures that several chapters of the tests share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import settings

from deploy.local.stack import Stack, attach
from tests.support.house import House, delete_what_is_left, open_house
from tests.support.needs import need_setting

settings.register_profile("unhurried", deadline=None)  # a busy machine is no bug of ours
settings.load_profile("unhurried")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what waits longest, so that no worker ends long after the others."""

    def place(item: pytest.Item) -> int:
        marks = {mark.name for mark in item.iter_markers()}
        return 0 if "acceptance" in marks else 1 if "servers" in marks else 2

    items.sort(key=place)


def pytest_sessionfinish() -> None:
    delete_what_is_left()


@pytest.fixture(scope="session")
def stack() -> Stack:
    """The servers that the whole run shares: to be used, never to be stopped."""
    return attach(Path(need_setting("UKETSUKE_TEST_STACK")), patience=10)


@pytest.fixture
async def house(stack: Stack, tmp_path: Path) -> AsyncIterator[House]:
    """A database and a virtual host of the test's own, for real services."""
    async with open_house(stack, tmp_path) as house:
        yield house


@pytest.fixture(scope="module")
async def pair(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """One front and one back, as a newcomer runs them; gives the front's address."""
    async with open_house(stack, tmp_path_factory.mktemp("pair")) as house:
        front = await house.front()
        await house.back()
        yield house.url(front)
