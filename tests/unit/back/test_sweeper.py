"""Cleaning up files: what nobody knows goes, and no file keeps another from going."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

from structlog.testing import capture_logs

from back_service.upkeep.ownership import Ownership
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

    async def which(self) -> str:
        return "7/5"


class Files:
    """A blob store in pages of files; *stuck* is one that cannot be deleted."""

    def __init__(
        self, *pages: list[BlobId], stuck: BlobId | None = None, owner: str = "7/5"
    ) -> None:
        self.pages, self.stuck, self.belongs_to = pages, stuck, owner
        self.deleted: list[BlobId] = []

    async def aged(self, place: str, *, older: timedelta) -> tuple[list[BlobId], str]:
        assert older >= timedelta(days=1)
        number = int(place or 0)
        return self.pages[number], "" if number + 1 == len(self.pages) else str(number + 1)

    async def owner(self, _: str) -> str:
        return self.belongs_to

    async def delete(self, blob_id: BlobId) -> None:
        if blob_id == self.stuck:
            raise Unavailable("the disk does not want to")
        self.deleted.append(blob_id)


def strays_of(rows: Rows, files: Files) -> Strays:
    return Strays(cast("Any", rows), cast("Any", files), Ownership(rows, files))


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

    await sweeper(cast("Any", rows), cast("Any", files), Ownership(rows, files)).work()

    assert files.deleted == [other]


async def test_in_the_folder_of_another_database_nothing_is_deleted() -> None:
    """A copy of a database would take all that was uploaded since for strays."""
    stray, orphan = fresh_blob_id(), fresh_blob_id()
    rows, files = Rows(orphans=[orphan]), Files([stray], owner="7/6")
    ownership = Ownership(rows, files)

    with capture_logs() as said:
        for _ in range(3):
            await sweeper(cast("Any", rows), cast("Any", files), ownership).work()
            assert await Strays(cast("Any", rows), cast("Any", files), ownership).sweep() == 0

    assert files.deleted == []
    assert ownership.is_contested
    [line] = said  # once, and not every two seconds
    assert line["log_level"] == "error"
    assert (line["owner"], line["ours"]) == ("7/6", "7/5")
    assert "remove the file 'owner'" in line["remedy"]


async def test_once_the_folder_is_given_over_its_strays_go() -> None:
    """Whoever has restored a database decides, and nothing need be restarted."""
    stray = fresh_blob_id()
    rows, files = Rows(), Files([stray], owner="7/6")
    ownership = Ownership(rows, files)
    strays = Strays(cast("Any", rows), cast("Any", files), ownership)

    assert await strays.sweep() == 0
    files.belongs_to = "7/5"

    assert await strays.sweep() == 1
    assert not ownership.is_contested
