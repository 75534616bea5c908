"""The demo document with all files in a bucket: from the upload to the report."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from deploy.local.stack import Stack
from tests.acceptance.test_documents import DEMO, ended
from tests.support.house import open_house
from tests.support.object_store import ObjectServer, open_object_server

pytestmark = [pytest.mark.acceptance, pytest.mark.servers]


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectServer]:
    with open_object_server() as server:
        yield server


@pytest.fixture
async def url(stack: Stack, server: ObjectServer, tmp_path: Path) -> AsyncIterator[str]:
    """A front and a back that share nothing but servers: each has a folder of its own."""
    async with open_house(stack, tmp_path) as house:
        house.extra = {
            "UKETSUKE_BLOB_URL": f"s3://{server.bucket}/files",
            "UKETSUKE_BLOB_ENDPOINT": server.endpoint,
            "UKETSUKE_BLOB_REGION": "us-east-1",
            "UKETSUKE_BLOB_ACCESS_KEY": "test",
            "UKETSUKE_BLOB_SECRET_KEY": "test",
        }
        front = await house.front(blob_dir=tmp_path / "of-front")
        await house.back(blob_dir=tmp_path / "of-back")
        yield house.url(front)
        assert not (tmp_path / "of-front").exists()
        assert not (tmp_path / "of-back").exists()


async def test_an_uploaded_document_becomes_a_report(url: str, server: ObjectServer) -> None:
    """Upload, work and report go by the bucket; a part of a file is read as from a folder."""
    async with aiohttp.ClientSession(url) as session:
        async with session.post("/api/blobs", data=DEMO.read_bytes()) as answer:
            assert answer.status == 201
            blob = await answer.json()
        body = {"document": f"blob:{blob['blobId']}"}
        async with session.post("/api/documents/process", json=body) as answer:
            assert answer.status == 202
            status = await ended(session, await answer.json())
        assert status["status"] == "completed", status
        async with session.get(status["results"]["reports"][0]["url"]) as answer:
            assert "<h1" in await answer.text()
        part = {"Range": "bytes=100-199"}
        async with session.get(f"/api/blobs/{blob['blobId']}", headers=part) as answer:
            assert answer.status == 206
            assert await answer.read() == DEMO.read_bytes()[100:200]

    assert any(blob["blobId"] in key for key in server.names())
