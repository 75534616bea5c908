"""What the chapters on outages share: servers that may be harmed."""

from collections.abc import AsyncIterator, Iterator

import pytest

from deploy.local.stack import Stack, open_stack
from tests.support.house import House, open_house


@pytest.fixture(scope="session")
def mortal_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Durable servers that a test may stop, strike and freeze, and must leave running."""
    with open_stack(tmp_path_factory.mktemp("mortal"), tcp=True) as stack:
        yield stack


@pytest.fixture(scope="session")
async def lasting_house(
    mortal_stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    async with open_house(mortal_stack, tmp_path_factory.mktemp("house")) as house:
        house.extra |= {"UKETSUKE_JOB_TYPES": "tests.support.probes"}
        house.extra |= {"UKETSUKE_HANDLERS": "tests.support.probes"}
        yield house


@pytest.fixture
async def mortal_house(lasting_house: House) -> AsyncIterator[House]:
    """A house on mortal servers: no job is in it, and no service outlives the test."""
    await lasting_house.fetch("TRUNCATE jobs, job_events, effects, outbox, key_heads CASCADE")
    yield lasting_house
    await lasting_house.close()
