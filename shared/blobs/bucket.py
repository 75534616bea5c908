"""Blobs as objects of a bucket: whatever speaks S3 keeps them, and durable is its promise.

An object appears whole or not at all. The parts of an upload that a killed process left unfinished
are seen by nobody; a lifecycle rule of the bucket removes them.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store

from shared.blobs.files import Files
from shared.blobs.store import BlobStore, Stored, gathered, key_of
from shared.blobs.walk import START
from shared.contract.errors import TooLarge, Unavailable, UnknownBlob
from shared.contract.ids import BlobId, parse_uuid

if TYPE_CHECKING:  # it has these for type checkers alone
    from obstore import GetOptions, GetResult, ObjectMeta
    from obstore.store import S3Config

_THREADS: Final = 4
_PART: Final = 8 << 20  # bytes of one part; 10,000 parts make a file of 80 GB
_PARTS_AT_ONCE: Final = 2  # so an upload takes some 24 MB of memory
_READ_SIZE: Final = 1 << 18
_PAGE: Final = 500
_OWNER: Final = "owner"
_MOST: Final = 200  # characters that are read of whatever lies there
_CONNECT: Final = timedelta(seconds=5)
_SILENCE: Final = timedelta(seconds=20)  # of the store, in the middle of an answer
_LONGEST: Final = timedelta(days=1)  # for one answer: a slow reader may take its time
_TRIES: Final = 3
_PATIENCE: Final = timedelta(seconds=30)  # for all tries together
_NOT_IN_RANGE: Final = "status code: 416"
_NO_BUCKET: Final = "NoSuchBucket"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Where the objects are, and who we are there; what is ``None`` is as AWS's own tools find it.

    An *endpoint* is that of a store which is not AWS. With ``http://`` nothing is encrypted.
    """

    name: str
    prefix: str | None = None
    endpoint: str | None = None
    region: str | None = None
    access_key: str | None = None
    secret_key: str | None = None


class BucketStore(BlobStore):
    """The blobs below one prefix of a bucket, which all processes share."""

    def __init__(self, objects: S3Store, files: Files) -> None:
        super().__init__(files)
        self._objects = objects

    async def put(
        self, blob_id: BlobId, chunks: AsyncIterator[bytes], *, most_bytes: int
    ) -> Stored:
        async with aclosing(gathered(chunks)) as pieces:
            feed = _Feed(pieces, self._files, most_bytes=most_bytes)
            upload = asyncio.ensure_future(
                obstore.put_async(
                    self._objects,
                    key_of(blob_id),
                    feed,
                    chunk_size=_PART,
                    max_concurrency=_PARTS_AT_ONCE,
                )
            )
            try:
                with _told():
                    await asyncio.shield(upload)
            except asyncio.CancelledError:
                feed.break_off()  # a future that is dropped would leave its parts behind
                await asyncio.wait([upload])
                if not upload.cancelled() and upload.exception() is None:
                    with suppress(BaseError):  # then it is a stray, and goes with those
                        await obstore.delete_async(self._objects, key_of(blob_id))
                raise
            except Unavailable:
                if feed.failure is not None:
                    raise feed.failure from None
                raise
        return feed.stored

    async def open(
        self, blob_id: BlobId, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        found = await self._found(blob_id, start, end)
        if found is None:
            return
        with _told():
            async for chunk in found.stream(min_chunk_size=_READ_SIZE):
                yield bytes(chunk)

    async def delete(self, blob_id: BlobId) -> None:
        with _told():
            await obstore.delete_async(self._objects, key_of(blob_id))

    async def owner(self, whoever: str) -> str:
        with _told():
            try:
                mark = whoever.encode()
                await obstore.put_async(self._objects, _OWNER, mark, mode="create")
            except AlreadyExistsError:
                found = await obstore.get_async(self._objects, _OWNER)
                return bytes(await found.bytes_async())[:_MOST].decode(errors="replace").strip()
        return whoever

    async def aged(self, place: str, *, older: timedelta) -> tuple[list[BlobId], str]:
        latest = datetime.now(UTC) - older
        with _told():
            pages = obstore.list(self._objects, offset=place or None, chunk_size=_PAGE)
            page: Sequence[ObjectMeta] = await anext(aiter(pages), ())
        found = [
            BlobId(blob_id)
            for one in page
            if one["last_modified"] < latest
            and (blob_id := parse_uuid(one["path"].rpartition("/")[2])) is not None
            and key_of(BlobId(blob_id)) == one["path"]
        ]
        return found, page[-1]["path"] if len(page) == _PAGE else START

    async def _found(self, blob_id: BlobId, start: int, end: int | None) -> "GetResult | None":
        """Ask for a part of an object; ``None``: there is nothing in it."""
        key, is_empty = key_of(blob_id), end is not None and end <= start
        options: GetOptions = {}
        if start or end is not None:
            options["range"] = {"offset": start} if end is None else (start, end)
        try:
            with _told():
                if is_empty:
                    await obstore.head_async(self._objects, key)
                    return None
                return await obstore.get_async(self._objects, key, options=options)
        except FileNotFoundError as error:
            raise UnknownBlob from error
        except Unavailable as error:
            if options and _NOT_IN_RANGE in str(error.__cause__):
                return None  # the object ends before what was asked for begins
            raise


class _Feed:
    """Hands over what is uploaded, piece by piece, and knows in the end what it was."""

    def __init__(
        self, pieces: AsyncGenerator[bytes, None], files: Files, *, most_bytes: int
    ) -> None:
        self._pieces, self._files, self._most = pieces, files, most_bytes
        self._digest, self._size = hashlib.sha256(), 0
        self._reading: asyncio.Future[bytes] | None = None
        self._is_broken = False
        self.failure: Exception | None = None
        """What went wrong at the sender."""

    @property
    def stored(self) -> Stored:
        return Stored(size_bytes=self._size, sha256=self._digest.hexdigest())

    def break_off(self) -> None:
        """Hand over nothing more, so that the upload fails and cleans up after itself."""
        self._is_broken = True
        if self._reading is not None:
            self._reading.cancel()

    def __aiter__(self) -> "_Feed":
        return self

    async def __anext__(self) -> bytes:
        if self._is_broken:
            raise _BrokenOff
        self._reading = asyncio.ensure_future(anext(self._pieces))
        try:
            piece = await self._reading
        except asyncio.CancelledError:
            if self._is_broken:
                raise _BrokenOff from None
            raise
        except StopAsyncIteration:
            raise
        except Exception as error:
            self.failure = error
            raise
        self._size += len(piece)
        if self._size > self._most:
            raise TooLarge(f"a file may have {self._most} bytes here")
        await self._files.run(self._digest.update, piece)
        return piece


class _BrokenOff(Exception):
    """Nobody wants to have this upload any more."""


@asynccontextmanager
async def open_bucket(bucket: Bucket) -> AsyncIterator[BucketStore]:
    """Give the store; whether the bucket can be had shows at its first use."""
    is_plain = bucket.endpoint is not None and bucket.endpoint.startswith("http://")
    config: S3Config = {"virtual_hosted_style_request": bucket.endpoint is None}
    if bucket.endpoint is not None:
        config["endpoint"] = bucket.endpoint
    if bucket.region is not None:
        config["region"] = bucket.region
    if bucket.access_key is not None:
        config["access_key_id"] = bucket.access_key
    if bucket.secret_key is not None:
        config["secret_access_key"] = bucket.secret_key
    objects = S3Store(
        bucket.name,
        prefix=bucket.prefix,
        config=config,
        client_options={
            "allow_http": is_plain,
            "connect_timeout": _CONNECT,
            "read_timeout": _SILENCE,
            "timeout": _LONGEST,
        },
        retry_config={"max_retries": _TRIES - 1, "retry_timeout": _PATIENCE},
    )
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="blobs") as threads:
        yield BucketStore(objects, Files(threads))


@contextmanager
def _told() -> Iterator[None]:
    """Say what the store answers in our words; never its address, nor who we are there."""
    try:
        yield
    except (BaseError, OSError) as error:
        if isinstance(error, FileNotFoundError) and _NO_BUCKET not in str(error):
            raise
        raise Unavailable("the blob store cannot do this now") from error
