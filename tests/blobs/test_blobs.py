"""What the blob store promises: durable, complete or absent, and never lying about either."""

import asyncio
import hashlib
import os
import resource
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from shared.blobs.folder import FolderStore, open_folder
from shared.blobs.upload import place_of, remove_leftovers
from shared.contract.errors import TooLarge, Unavailable, UnknownBlob
from shared.contract.ids import BlobId, parse_uuid
from shared.runtime.clock import fresh_blob_id
from tests.support.blobs import chunks_of, content

ROOM = 100 * 2**20


@pytest.fixture
async def blobs(tmp_path: Path) -> AsyncIterator[FolderStore]:
    async with open_folder(tmp_path / "blobs", keep_free=0.0) as store:
        yield store


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Make the kernel refuse to let any file of this process grow beyond *size*."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_blob_comes_back_as_it_went_in(blobs: FolderStore) -> None:
    """The claim check returns the coat that was handed in."""
    blob_id, pieces = fresh_blob_id(), [os.urandom(700_000) for _ in range(5)]

    stored = await blobs.put(blob_id, chunks_of(*pieces), most_bytes=ROOM)

    assert await content(blobs, blob_id) == b"".join(pieces)
    assert stored.size_bytes == 3_500_000
    assert stored.sha256 == hashlib.sha256(b"".join(pieces)).hexdigest()


async def test_an_empty_blob_is_a_blob(blobs: FolderStore) -> None:
    """A file of no bytes is still a file somebody uploaded."""
    blob_id = fresh_blob_id()

    stored = await blobs.put(blob_id, chunks_of(), most_bytes=ROOM)

    assert stored.size_bytes == 0
    assert await content(blobs, blob_id) == b""


@pytest.mark.parametrize(
    ("window", "expected"),
    [((2,), b"cdef"), ((1, 3), b"bc"), ((0, 99), b"abcdef"), ((9,), b""), ((3, 1), b"")],
)
async def test_a_part_of_a_blob_can_be_read(
    blobs: FolderStore, window: tuple[int, ...], expected: bytes
) -> None:
    """A range request costs what it asks for, and one beyond the end costs nothing."""
    blob_id = fresh_blob_id()
    await blobs.put(blob_id, chunks_of(b"abc", b"def"), most_bytes=ROOM)

    assert await content(blobs, blob_id, *window) == expected


async def test_what_put_answers_was_synced_first(
    blobs: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that refers to a blob must never outlive it: file, name and folders are synced."""
    steps: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def noted_fsync(target: int) -> None:
        steps.append(str(Path(f"/proc/self/fd/{target}").readlink()))
        fsync(target)

    def noted_rename(path: Path, target: Path) -> Path:
        steps.append("rename")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "rename", noted_rename)

    blob_id = fresh_blob_id()
    await blobs.put(blob_id, chunks_of(b"x"), most_bytes=ROOM)

    place = place_of(blobs._folder, blob_id)
    assert "incoming" in steps[0]
    assert steps[1:] == ["rename", *map(str, (place.parent, place.parent.parent, blobs._folder))]


@pytest.mark.parametrize("pieces", [(b"x" * 11,), (b"x" * 6, b"x" * 5), (b"x" * 3_000_000,)])
async def test_over_the_cap_nothing_is_left(blobs: FolderStore, pieces: tuple[bytes, ...]) -> None:
    """A refused upload costs no disk, however it was cut into chunks."""
    with pytest.raises(TooLarge):
        await blobs.put(fresh_blob_id(), chunks_of(*pieces), most_bytes=10)

    assert files_below(blobs._folder) == []


async def test_the_cap_itself_is_allowed(blobs: FolderStore) -> None:
    """The limit is the last size that is taken, not the first that is refused."""
    stored = await blobs.put(fresh_blob_id(), chunks_of(b"x" * 10), most_bytes=10)

    assert stored.size_bytes == 10


async def test_a_full_disk_is_told_and_leaves_nothing(blobs: FolderStore) -> None:
    """The caller may try again later; until then no half file lies about."""
    with files_of_at_most(2**20), pytest.raises(Unavailable):
        await blobs.put(fresh_blob_id(), chunks_of(*[b"x" * 900_000] * 5), most_bytes=ROOM)

    assert files_below(blobs._folder) == []


async def test_the_last_of_the_disk_is_left_to_others(tmp_path: Path) -> None:
    """Uploads must not be what stops the database."""
    async with open_folder(tmp_path / "blobs", keep_free=1.0) as blobs:
        with pytest.raises(Unavailable, match="nearly full"):
            await blobs.put(fresh_blob_id(), chunks_of(b"x"), most_bytes=ROOM)

        assert files_below(blobs._folder) == []


async def test_a_sender_that_breaks_off_leaves_nothing(blobs: FolderStore) -> None:
    """Half an upload is no blob."""

    async def breaks_off() -> AsyncIterator[bytes]:
        yield b"x" * 2_000_000
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await blobs.put(fresh_blob_id(), breaks_off(), most_bytes=ROOM)

    assert files_below(blobs._folder) == []


async def test_a_cancelled_upload_leaves_nothing(blobs: FolderStore) -> None:
    """A client that goes away, or a drain, must not fill the disk."""
    waiting = asyncio.Event()

    async def never_ends() -> AsyncIterator[bytes]:
        yield b"x" * 2_000_000
        waiting.set()
        await asyncio.Event().wait()

    upload = asyncio.create_task(blobs.put(fresh_blob_id(), never_ends(), most_bytes=ROOM))
    await asyncio.wait_for(waiting.wait(), 5)
    upload.cancel()

    with pytest.raises(asyncio.CancelledError):
        await upload
    assert files_below(blobs._folder) == []


async def test_a_cancel_at_any_moment_leaves_no_file_open(blobs: FolderStore) -> None:
    """A worker that is often cancelled must not run out of descriptors."""
    blob_id = fresh_blob_id()
    await blobs.put(blob_id, chunks_of(b"x" * 1_000_000), most_bytes=ROOM)
    before = open_files()

    for turns in range(30):
        reading = asyncio.create_task(content(blobs, blob_id))
        for _ in range(turns):
            await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])

    assert open_files() == before


async def test_an_unknown_blob_is_told_before_the_first_byte(blobs: FolderStore) -> None:
    """An answer that has begun can no longer become a 404."""
    with pytest.raises(UnknownBlob):
        await content(blobs, fresh_blob_id())


async def test_a_deleted_blob_is_gone_and_may_be_deleted_again(blobs: FolderStore) -> None:
    """A sweeper that was killed midway repeats itself safely."""
    blob_id = fresh_blob_id()
    await blobs.put(blob_id, chunks_of(b"x"), most_bytes=ROOM)

    await blobs.delete(blob_id)
    await blobs.delete(blob_id)

    with pytest.raises(UnknownBlob):
        await content(blobs, blob_id)


async def test_a_download_survives_the_delete(blobs: FolderStore) -> None:
    """The end of a blob must not cut the reader who has begun."""
    blob_id, whole = fresh_blob_id(), os.urandom(1_000_000)
    await blobs.put(blob_id, chunks_of(whole), most_bytes=ROOM)

    async with aclosing(blobs.open(blob_id)) as reading:
        got = await anext(reading)
        await blobs.delete(blob_id)
        got += b"".join([chunk async for chunk in reading])

    assert got == whole


async def test_folders_stay_small_for_ids_of_one_moment(blobs: FolderStore) -> None:
    """Ids of one day share their first digits; their last ones spread them."""
    ids = [fresh_blob_id() for _ in range(200)]

    for blob_id in ids:
        await blobs.put(blob_id, chunks_of(b"x"), most_bytes=ROOM)

    assert len({place_of(blobs._folder, blob_id).parent.parent for blob_id in ids}) > 50


async def test_a_copy_is_a_file_of_its_own(blobs: FolderStore, tmp_path: Path) -> None:
    """A handler may do to its copy what it likes; the blob stays what was uploaded."""
    blob_id = fresh_blob_id()
    stored = await blobs.put(blob_id, chunks_of(b"as it was"), most_bytes=ROOM)

    copied = await blobs.copy_to(blob_id, tmp_path / "copy", most_bytes=9)
    (tmp_path / "copy").write_bytes(b"changed!!")

    assert copied == stored
    assert await content(blobs, blob_id) == b"as it was"


async def test_a_copy_is_capped(blobs: FolderStore, tmp_path: Path) -> None:
    """What one handler can bear is less than what another could upload."""
    blob_id = fresh_blob_id()
    await blobs.put(blob_id, chunks_of(b"0123456789"), most_bytes=ROOM)

    with pytest.raises(TooLarge):
        await blobs.copy_to(blob_id, tmp_path / "copy", most_bytes=9)


async def test_a_file_of_a_handler_becomes_a_blob(blobs: FolderStore, tmp_path: Path) -> None:
    """Results are kept the same way as uploads."""
    path, blob_id = tmp_path / "report.pdf", fresh_blob_id()
    path.write_bytes(b"%PDF" * 300_000)

    stored = await blobs.put_file(blob_id, path, most_bytes=ROOM)

    assert stored.size_bytes == 1_200_000
    assert await content(blobs, blob_id) == path.read_bytes()


async def test_a_link_or_a_pipe_is_never_kept(blobs: FolderStore, tmp_path: Path) -> None:
    """An outside program that was tricked into making a link must not publish its target."""
    (tmp_path / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe")

    for name in ("link", "pipe", "nothing"):
        with pytest.raises((FileNotFoundError, Unavailable)):
            await blobs.put_file(fresh_blob_id(), tmp_path / name, most_bytes=ROOM)

    assert files_below(blobs._folder) == []


async def test_a_slow_disk_does_not_hold_the_loop(
    blobs: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One upload on a bad disk must not stop every lease from being renewed."""
    fsync, held, turns = os.fsync, asyncio.Event(), 0
    loop = asyncio.get_running_loop()

    def slow_fsync(target: int) -> None:
        loop.call_soon_threadsafe(held.set)
        time.sleep(0.1)  # the fault itself
        fsync(target)

    monkeypatch.setattr(os, "fsync", slow_fsync)
    upload = asyncio.create_task(
        blobs.put(fresh_blob_id(), chunks_of(b"x"), most_bytes=ROOM), name="upload"
    )
    await asyncio.wait_for(held.wait(), 5)
    while not upload.done():
        await asyncio.sleep(0)
        turns += 1

    await upload
    assert turns > 100


async def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    """Nobody else would; but what may still be under way is left alone."""
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    for name, age in (("old", 100_000), ("young", 10)):
        (incoming / name).write_bytes(b"x")
        os.utime(incoming / name, (time.time() - age, time.time() - age))

    remove_leftovers(tmp_path, older_than=timedelta(days=1))

    assert [path.name for path in files_below(tmp_path)] == ["young"]


async def test_a_folder_that_cannot_be_had_refuses_to_open(tmp_path: Path) -> None:
    """A store that cannot store says so at the start, not at the first upload."""
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(Unavailable):
        async with open_folder(tmp_path / "file" / "blobs"):
            pass


def test_a_place_is_made_of_the_id_alone() -> None:
    """No name that a stranger chose is part of a path."""
    blob_id = parse_uuid("01890000-0000-7000-8000-0000000012ab")
    assert blob_id is not None

    place = place_of(Path("/blobs"), BlobId(blob_id))

    assert place == Path("/blobs/ab/12/01890000-0000-7000-8000-0000000012ab")
