"""A server that speaks S3, on this machine and in memory, for as long as a test needs it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import boto3
from moto.server import ThreadedMotoServer


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectServer:
    """One bucket, and somebody beside us who can look into it."""

    bucket: str
    endpoint: str
    client: Any

    def names(self) -> list[str]:
        listed = self.client.list_objects_v2(Bucket=self.bucket)
        return [one["Key"] for one in listed.get("Contents", [])]

    def unfinished(self) -> list[str]:
        """Name the uploads whose parts are there and whose object is not."""
        listed = self.client.list_multipart_uploads(Bucket=self.bucket)
        return [one["Key"] for one in listed.get("Uploads", [])]


@contextmanager
def open_object_server() -> Iterator[ObjectServer]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        # All such servers of a process share what they keep: each has a bucket of its own.
        bucket = f"desk-{uuid4().hex}"
        client.create_bucket(Bucket=bucket)
        yield ObjectServer(bucket=bucket, endpoint=endpoint, client=client)
    finally:
        server.stop()
