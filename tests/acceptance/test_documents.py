"""The demo document from the upload to its report, through the real services."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from deploy.local import demo
from tests.support.waiting import until

pytestmark = [pytest.mark.acceptance, pytest.mark.servers]

DEMO = Path(__file__).parents[2] / "examples/demo/reception-desk.pdf"


async def ended(session: aiohttp.ClientSession, ticket: dict[str, Any]) -> dict[str, Any]:
    async def has_ended() -> dict[str, Any] | None:
        async with session.get(ticket["statusUrl"]) as answer:
            document: dict[str, Any] = await answer.json()
        return document if document["status"] not in ("pending", "processing") else None

    found = await until(has_ended, within=60, what="the document is processed")
    assert found is not None
    return found


async def test_an_uploaded_document_becomes_a_report(pair: str) -> None:
    """What the README shows first: upload, submit, watch, read the report."""
    async with aiohttp.ClientSession(pair) as session:
        headers = {"Content-Type": "application/pdf"}
        async with session.post("/api/blobs", data=DEMO.read_bytes(), headers=headers) as answer:
            assert answer.status == 201
            blob = await answer.json()
        body = {"fileUrl": f"blob:{blob['blobId']}"}
        async with session.post("/api/documents/process", json=body) as answer:
            assert answer.status == 202
            status = await ended(session, await answer.json())

        assert status["status"] == "completed", status
        results = status["results"]
        assert results["document"]["title"] == "How a reception desk works"
        assert results["language"]["code"] == "en"
        async with session.get(results["reports"][0]["url"]) as answer:
            report = await answer.text()
            assert answer.headers["Content-Security-Policy"].startswith("sandbox")

    assert "<h1" in report
    assert results["summary"][0] in report.replace("&#39;", "'")


async def test_a_bad_document_fails_with_words_that_help(pair: str) -> None:
    """No retries, no crash: the caller reads what is wrong."""
    async with aiohttp.ClientSession(pair) as session:
        async with session.post("/api/blobs", data=b"%PDF-1.7\ngarbage") as answer:
            blob = await answer.json()
        body = {"document": f"blob:{blob['blobId']}"}
        async with session.post("/api/documents/process", json=body) as answer:
            status = await ended(session, await answer.json())

    assert status["status"] == "failed"
    assert status["problem"]["code"] == "document_broken"
    assert status["attempt"] == 1
    assert "pdf" in status["error"]


async def test_the_demo_shows_the_summary_the_links_and_the_way_to_the_files(
    pair: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A page of JSON would push what a newcomer came to see off the screen."""
    monkeypatch.setenv("UKETSUKE_URL", pair)

    assert await asyncio.to_thread(demo.main) == 0

    said, way = capfd.readouterr()
    for name in ("reception-desk.pdf", "reception_desk.txt"):
        assert f"document=examples/demo/{name} --watch" in said
    assert said.count("--save reports") == 2
    assert f"reports[0].url  {pair}/api/blobs/" in said
    assert len(said.splitlines()) < 40
    assert way.count("completed") == 2
