"""Open the store of blobs that the settings name."""

from contextlib import AbstractAsyncContextManager

from shared.blobs.bucket import Bucket, open_bucket
from shared.blobs.folder import open_folder
from shared.blobs.store import BlobStore
from shared.runtime.settings import CommonSettings


def open_blobs(settings: CommonSettings) -> AbstractAsyncContextManager[BlobStore]:
    """Open the bucket if one is named, else the folder."""
    if settings.blob_url is None:
        return open_folder(settings.blob_dir)
    return open_bucket(bucket_of(settings.blob_url, settings))


def bucket_of(url: str, settings: CommonSettings) -> Bucket:
    name, _, prefix = url.removeprefix("s3://").partition("/")
    access_key, secret_key = settings.blob_access_key, settings.blob_secret_key
    return Bucket(
        name=name,
        prefix=prefix.strip("/") or None,
        endpoint=settings.blob_endpoint,
        region=settings.blob_region,
        access_key=None if access_key is None else access_key.get_secret_value(),
        secret_key=None if secret_key is None else secret_key.get_secret_value(),
    )
