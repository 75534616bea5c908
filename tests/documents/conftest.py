"""One offload for all tests of documents: its nursery imports a lot, once."""

from collections.abc import AsyncIterator

import pytest

from back_service.child import Limits
from back_service.handlers.documents import PRELOAD
from back_service.offload import Offload, open_offload
from shared.blobs.folder import open_folder
from tests.documents.bench import Bench


@pytest.fixture(scope="session")
async def offload() -> AsyncIterator[Offload]:
    async with open_offload(limits=Limits(), preload=PRELOAD) as opened:
        yield opened


@pytest.fixture(scope="session")
async def bench(offload: Offload, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    async with open_folder(tmp_path_factory.mktemp("blobs"), keep_free=0.0) as blobs:
        yield Bench(offload, blobs)
