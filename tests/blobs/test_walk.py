"""Going through all blobs a little at a time: each is seen, and the young are left alone."""

import os
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from shared.blobs.folder import FolderStore, open_folder
from shared.blobs.upload import place_of
from shared.blobs.walk import START
from shared.contract.ids import BlobId
from shared.runtime.clock import fresh_blob_id

A_DAY = timedelta(days=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


@pytest.fixture
async def blobs(folder: Path) -> AsyncIterator[FolderStore]:
    async with open_folder(folder, keep_free=0.0) as store:
        yield store


async def one_byte() -> AsyncIterator[bytes]:
    yield b"x"


async def keep(blobs: FolderStore, folder: Path, *, days: float) -> BlobId:
    """Store a blob as one that was written *days* ago."""
    blob_id = fresh_blob_id()
    await blobs.put(blob_id, one_byte(), most_bytes=1)
    written = time.time() - timedelta(days=days).total_seconds()
    os.utime(place_of(folder, blob_id), (written, written))
    return blob_id


async def test_every_old_blob_is_seen_once_a_round(blobs: FolderStore, folder: Path) -> None:
    """In turns that each look at a few folders, however many there are."""
    old = {await keep(blobs, folder, days=2) for _ in range(60)}
    seen: list[BlobId] = []
    place, turns = START, 0
    while turns == 0 or place != START:
        some, place = await blobs.aged(place, older=A_DAY)
        assert len(some) < len(old)
        seen, turns = seen + some, turns + 1

    assert sorted(seen) == sorted(old)
    assert turns > 1


async def test_what_may_still_get_its_row_is_not_seen(blobs: FolderStore, folder: Path) -> None:
    """Nor what is no blob: an upload under way, a file of somebody else, a link."""
    young = await keep(blobs, folder, days=0.9)
    leaf = place_of(folder, young).parent
    strange = (folder / "notes.txt", folder / "incoming" / str(fresh_blob_id()), leaf / "notes.txt")
    for path in strange:
        path.parent.mkdir(exist_ok=True)
        path.touch()
        os.utime(path, (0, 0))
    (leaf / str(fresh_blob_id())).symlink_to(strange[0])

    assert await blobs.aged(START, older=A_DAY) == ([], START)


async def test_an_empty_store_has_nothing_to_see(blobs: FolderStore) -> None:
    """A place from before everything was removed is none to stumble over."""
    assert await blobs.aged("7f/03", older=A_DAY) == ([], START)
