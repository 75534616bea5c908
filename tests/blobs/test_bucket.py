"""What the blob store promises holds in a bucket as well."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

import pytest

from shared.blobs.bucket import Bucket, BucketStore, open_bucket
from shared.blobs.store import key_of
from shared.blobs.walk import START
from shared.contract.errors import TooLarge, Unavailable, UnknownBlob
from shared.contract.ids import BlobId
from shared.runtime.clock import fresh_blob_id
from tests.support.blobs import chunks_of, content
from tests.support.object_store import ObjectServer, open_object_server

MANY: Final = 100 * 2**20
MIB: Final = 2**20
PART: Final = 8 * MIB


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectServer]:
    with open_object_server() as server:
        yield server


def bucket_at(endpoint: str, name: str, prefix: str) -> Bucket:
    return Bucket(
        name=name,
        prefix=prefix,
        endpoint=endpoint,
        region="us-east-1",
        access_key="test",
        secret_key="test",
    )


@pytest.fixture
async def blobs(server: ObjectServer) -> AsyncIterator[BucketStore]:
    """Objects below a prefix of the test's own."""
    async with open_bucket(
        bucket_at(server.endpoint, server.bucket, f"of-{fresh_blob_id()}")
    ) as store:
        yield store


async def kept(store: BucketStore, *given: bytes) -> BlobId:
    blob_id = fresh_blob_id()
    await store.put(blob_id, chunks_of(*given), most_bytes=MANY)
    return blob_id


@pytest.mark.parametrize("size", [0, 1, PART, 2 * PART + 5], ids=["none", "one", "part", "parts"])
async def test_a_blob_comes_back_as_it_went_in(blobs: BucketStore, size: int) -> None:
    """Also one that travels in parts; size and hash are those of the whole."""
    blob_id, sent = fresh_blob_id(), os.urandom(size)
    chunks = chunks_of(*(sent[at : at + MIB - 7] for at in range(0, size, MIB - 7)))

    stored = await blobs.put(blob_id, chunks, most_bytes=MANY)

    assert (stored.size_bytes, stored.sha256) == (size, hashlib.sha256(sent).hexdigest())
    assert await content(blobs, blob_id) == sent


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ((0,), b"abcdef"),
        ((2,), b"cdef"),
        ((0, 3), b"abc"),
        ((2, 4), b"cd"),
        ((4, 99), b"ef"),
        ((3, 3), b""),
        ((6,), b""),
        ((9, 12), b""),
    ],
)
async def test_a_window_of_a_blob(
    blobs: BucketStore, window: tuple[int, ...], expected: bytes
) -> None:
    """What lies beyond its end is empty, as in a folder."""
    blob_id = await kept(blobs, b"abc", b"def")

    assert await content(blobs, blob_id, *window) == expected


@pytest.mark.parametrize("window", [(), (2,), (2, 4), (2, 2)])
async def test_an_unknown_blob_is_told_before_the_first_byte(
    blobs: BucketStore, window: tuple[int, ...]
) -> None:
    """So that an answer can still be a 404."""
    with pytest.raises(UnknownBlob):
        await content(blobs, fresh_blob_id(), *window)


@pytest.mark.parametrize("size", [11, 3 * PART], ids=["small", "parts"])
async def test_over_the_cap_nothing_is_left(
    blobs: BucketStore, server: ObjectServer, size: int
) -> None:
    """Neither an object nor the parts of one."""
    blob_id = fresh_blob_id()
    chunks = chunks_of(*(bytes(MIB) for _ in range(size // MIB)), bytes(size % MIB))

    with pytest.raises(TooLarge):
        await blobs.put(blob_id, chunks, most_bytes=size - 1)

    with pytest.raises(UnknownBlob):
        await content(blobs, blob_id)
    assert server.unfinished() == []


async def test_a_sender_that_breaks_off_leaves_nothing(
    blobs: BucketStore, server: ObjectServer
) -> None:
    """His own error comes through, and the parts that were there already go."""
    blob_id = fresh_blob_id()

    async def breaking() -> AsyncIterator[bytes]:
        for _ in range(2 * PART // MIB + 1):
            yield bytes(MIB)
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError):
        await blobs.put(blob_id, breaking(), most_bytes=MANY)

    with pytest.raises(UnknownBlob):
        await content(blobs, blob_id)
    assert server.unfinished() == []


async def test_a_cancelled_upload_leaves_nothing(blobs: BucketStore, server: ObjectServer) -> None:
    """Also while it waits for its sender, with parts in the bucket already."""
    blob_id, waits = fresh_blob_id(), asyncio.Event()

    async def stalling() -> AsyncIterator[bytes]:
        for _ in range(2 * PART // MIB + 1):
            yield bytes(MIB)
        waits.set()
        await asyncio.Event().wait()

    upload = asyncio.create_task(
        blobs.put(blob_id, stalling(), most_bytes=MANY), name="cancelled upload"
    )
    await asyncio.wait_for(waits.wait(), 20)
    upload.cancel()
    with pytest.raises(asyncio.CancelledError):
        await upload

    with pytest.raises(UnknownBlob):
        await content(blobs, blob_id)
    assert server.unfinished() == []


async def test_a_deleted_blob_is_gone_and_may_be_deleted_again(blobs: BucketStore) -> None:
    """A sweeper that died in between does it once more."""
    blob_id = await kept(blobs, b"x")

    await blobs.delete(blob_id)
    await blobs.delete(blob_id)

    with pytest.raises(UnknownBlob):
        await content(blobs, blob_id)


async def test_a_download_survives_the_delete(blobs: BucketStore) -> None:
    """Whoever has begun to read gets the end as well."""
    blob_id = await kept(blobs, bytes(3 * MIB))
    async with aclosing(blobs.open(blob_id)) as chunks:
        read = len(await anext(chunks))
        await blobs.delete(blob_id)
        async for chunk in chunks:
            read += len(chunk)

    assert read == 3 * MIB


async def test_a_copy_is_a_file_of_its_own(blobs: BucketStore, tmp_path: Path) -> None:
    """And a file becomes a blob: what handlers do all day."""
    blob_id = await kept(blobs, b"abc")
    stored = await blobs.copy_to(blob_id, tmp_path / "copy", most_bytes=3)
    assert (tmp_path / "copy").read_bytes() == b"abc"
    assert stored.size_bytes == 3

    again = fresh_blob_id()
    await blobs.put_file(again, tmp_path / "copy", most_bytes=3)
    assert await content(blobs, again) == b"abc"


async def test_the_first_that_asks_owns_the_bucket(blobs: BucketStore) -> None:
    """And stays its owner: of two databases only one may delete here."""
    assert await blobs.owner("first") == "first"
    assert await blobs.owner("second") == "first"
    assert await blobs.owner("first") == "first"


async def test_of_many_that_ask_at_once_one_is_the_owner(blobs: BucketStore) -> None:
    """The bucket decides, not the order in which they look."""
    told = await asyncio.gather(*(blobs.owner(f"database {n}") for n in range(8)))

    assert len(set(told)) == 1


async def test_every_old_blob_is_seen_once_a_round(
    blobs: BucketStore, server: ObjectServer
) -> None:
    """Page by page; what is no blob of ours is not even named."""
    made = {await kept(blobs, b"x") for _ in range(20)}
    prefix = server.names()[-1].split("/")[0]
    server.client.put_object(Bucket=server.bucket, Key=f"{prefix}/notes.txt", Body=b"of a stranger")
    await blobs.owner("us")
    found: list[BlobId] = []
    place, turns = START, 0
    while turns == 0 or place != START:
        some, place = await blobs.aged(place, older=timedelta(seconds=-60))
        found += some
        turns += 1
        assert turns < 30

    assert sorted(found) == sorted(made)


async def test_pages_go_on_where_the_last_one_ended(
    blobs: BucketStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bucket of millions is walked in small steps, from any place."""
    monkeypatch.setattr("shared.blobs.bucket._PAGE", 3)
    made = sorted([await kept(blobs, b"x") for _ in range(8)], key=key_of)

    first, place = await blobs.aged(START, older=timedelta(seconds=-60))
    second, place = await blobs.aged(place, older=timedelta(seconds=-60))
    third, place = await blobs.aged(place, older=timedelta(seconds=-60))

    assert [*first, *second, *third] == made
    assert place == START


async def test_what_may_still_get_its_row_is_not_seen(blobs: BucketStore) -> None:
    """An upload of this minute is nobody's stray."""
    await kept(blobs, b"x")

    assert await blobs.aged(START, older=timedelta(hours=1)) == ([], START)


async def test_a_bucket_that_is_away_is_unavailable_and_told_without_its_address(
    server: ObjectServer, tmp_path: Path
) -> None:
    """Every verb says the same; what went wrong is in the cause, for the log alone."""
    (tmp_path / "file").write_bytes(b"x")
    async with open_bucket(bucket_at("http://127.0.0.1:1", "nobody", "nowhere")) as blobs:
        calls = (
            blobs.put_file(fresh_blob_id(), tmp_path / "file", most_bytes=9),
            content(blobs, fresh_blob_id()),
            blobs.delete(fresh_blob_id()),
            blobs.owner("us"),
            blobs.aged(START, older=timedelta(0)),
        )
        told = await asyncio.gather(*calls, return_exceptions=True)

    assert [type(error) for error in told] == [Unavailable] * 5
    assert {str(error) for error in told} == {"the blob store cannot do this now"}


async def test_trouble_is_not_taken_for_the_end_of_a_blob() -> None:
    """The text of an error names the object: digits of its id say nothing of what went wrong."""
    blob_id = BlobId(UUID("01890416-0416-7416-8416-000000000416"))
    async with open_bucket(bucket_at("http://127.0.0.1:1", "nobody", "nowhere")) as blobs:
        for window in ((), (1,), (1, 2)):
            with pytest.raises(Unavailable):
                await content(blobs, blob_id, *window)
        with pytest.raises(Unavailable):
            await blobs.delete(blob_id)


async def test_a_bucket_that_is_not_there_is_unavailable(server: ObjectServer) -> None:
    """A wrong name is no unknown blob: nobody may take the jobs of all for jobs of none."""
    bucket = Bucket(
        name="nobody-made-it",
        endpoint=server.endpoint,
        region="us-east-1",
        access_key="test",
        secret_key="test",
    )
    async with open_bucket(bucket) as blobs:
        with pytest.raises(Unavailable):
            await content(blobs, fresh_blob_id())
