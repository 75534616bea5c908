"""A server that speaks S3, on this machine and in memory, for as long as a test needs it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

NAME = "desk"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectServer:
    """One bucket, and somebody beside us who can look into it."""

    endpoint: str
    client: Any

    def names(self) -> list[str]:
        listed = self.client.list_objects_v2(Bucket=NAME)
        return [one["Key"] for one in listed.get("Contents", [])]

    def unfinished(self) -> list[str]:
        """Name the uploads whose parts are there and whose object is not."""
        listed = self.client.list_multipart_uploads(Bucket=NAME)
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
        client.create_bucket(Bucket=NAME)
        yield ObjectServer(endpoint=endpoint, client=client)
    finally:
        server.stop()
