"""Cleaning up files: what nobody knows goes, and no file keeps another from going."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

from back_service.upkeep.sweeper import Strays, sweeper
from shared.contract.errors import Unavailable
from shared.contract.ids import BlobId
from shared.runtime.clock import fresh_blob_id


class Rows:
    """The upkeep of a store that knows some files, and had others until now."""

    def __init__(self, *known: BlobId, orphans: Sequence[BlobId] = ()) -> None:
        self.known, self.orphans = known, list(orphans)

    async def forget(self) -> int:
        return 0

    async def forget_blobs(self, *, older: timedelta) -> list[BlobId]:
        assert older >= timedelta(days=1)
        return self.orphans

    async def unknown_blobs(self, blob_ids: Sequence[BlobId]) -> list[BlobId]:
        return [blob_id for blob_id in blob_ids if blob_id not in self.known]


class Files:
    """A blob store in pages of files; *stuck* is one that cannot be deleted."""

    def __init__(self, *pages: list[BlobId], stuck: BlobId | None = None) -> None:
        self.pages, self.stuck = pages, stuck
        self.deleted: list[BlobId] = []

    async def aged(self, place: str, *, older: timedelta) -> tuple[list[BlobId], str]:
        assert older >= timedelta(days=1)
        number = int(place or 0)
        return self.pages[number], "" if number + 1 == len(self.pages) else str(number + 1)

    async def delete(self, blob_id: BlobId) -> None:
        if blob_id == self.stuck:
            raise Unavailable("the disk does not want to")
        self.deleted.append(blob_id)


def strays_of(rows: Rows, files: Files) -> Strays:
    return Strays(cast("Any", rows), cast("Any", files))


async def test_files_without_a_row_are_deleted_turn_by_turn() -> None:
    """Nobody can ever ask for them: they would only fill the disk."""
    first, second, known = (fresh_blob_id() for _ in range(3))
    files = Files([first, known], [second])
    strays = strays_of(Rows(known), files)

    assert await strays.sweep() == 1
    assert files.deleted == [first]
    assert await strays.sweep() == 1
    assert await strays.sweep() == 1

    assert files.deleted == [first, second, first]


async def test_a_file_that_cannot_be_deleted_holds_up_no_other() -> None:
    """Its turn comes again; theirs might never."""
    stuck, other = fresh_blob_id(), fresh_blob_id()
    files = Files([stuck, other], stuck=stuck)

    await strays_of(Rows(), files).sweep()

    assert files.deleted == [other]


async def test_an_orphan_that_cannot_be_deleted_holds_up_no_other() -> None:
    """The rows of all of them are gone: nobody would find the others again."""
    stuck, other = fresh_blob_id(), fresh_blob_id()
    files = Files([], stuck=stuck)
    rows = Rows(orphans=[stuck, other])

    await sweeper(cast("Any", rows), cast("Any", files)).work()

    assert files.deleted == [other]
