"""The client of the folklore, in JavaScript, with nothing of ours in it."""

import asyncio
import json
import shutil
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from tests.client.desk import Desk, answers
from tests.client.documents import a_job_id, a_status, a_ticket
from tests.support.needs import missing

SCRIPT: Final = Path(__file__).with_name("client.mjs")
TEXT: Final = (
    b"Reception desks\n\nA reception desk takes a request at once and hands out a ticket. "
    b"The work is done behind the desk, one request after the other. "
    b"Whoever holds the ticket is told when the work is done.\n"
)


@pytest.fixture
def node() -> str:
    return shutil.which("node") or missing("node is not installed: apt-get install nodejs")


async def run(node: str, *words: str) -> tuple[int, list[dict[str, Any]]]:
    """Run the script to its end; give its exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        node, "--experimental-websocket", str(SCRIPT), *words, stdout=PIPE, stderr=PIPE
    )
    try:
        async with asyncio.timeout(60):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    assert b"SyntaxError" not in err
    return process.returncode, [json.loads(line) for line in out.splitlines()]


def a_document_job(desk: Desk, *, ends: str = "completed") -> str:
    job_id = a_job_id()
    end = {"results": {"summary": "A desk."}} if ends == "completed" else {"error": "torn"}
    desk.tells(
        a_status(job_id, 2, progress=40) | {"type": "documents.process"},
        a_status(job_id, 3, ends, **end) | {"type": "documents.process"},
    )
    desk.script["submit"].append(answers(202, a_ticket("documents.process", job_id)))
    return job_id


@pytest.mark.parametrize("way", ["poll", "socket"])
async def test_the_script_works_where_the_contract_is_kept(desk: Desk, node: str, way: str) -> None:
    """Proof of the script itself: if it fails at the real pair, it is the pair's fault."""
    job_id = a_document_job(desk)

    code, said = await run(node, desk.url, "https://example.org/a.pdf", way)

    assert code == 0
    assert said[0]["jobId"] == job_id
    assert said[-1] == {"results": {"summary": "A desk."}}
    assert desk.seen[0].headers["Content-Type"].startswith("text/plain")
    assert desk.seen[0].document["fileUrl"] == "https://example.org/a.pdf"


@pytest.mark.parametrize("way", ["poll", "socket"])
async def test_the_script_sees_a_failure_as_one(desk: Desk, node: str, way: str) -> None:
    """`error` is a text that a page can show."""
    a_document_job(desk, ends="failed")

    code, said = await run(node, desk.url, "https://example.org/a.pdf", way)

    assert code == 1
    assert said[-1] == {"error": "torn"}


@pytest.mark.acceptance
@pytest.mark.parametrize("way", ["poll", "socket"])
async def test_a_client_of_the_folklore_gets_its_document_processed(
    pair: str, node: str, way: str
) -> None:
    """Plain fetch and plain WebSocket against the real services, from submit to results."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{pair}/api/blobs", data=TEXT) as response,
    ):
        assert response.status == 201, await response.text()
        blob = await response.json()

    code, said = await run(node, pair, f"blob:{blob['blobId']}", way)

    assert code == 0, said
    assert said[0]["statusUrl"] == f"/api/documents/status/{said[0]['jobId']}"
    progress = [line["progress"] for line in said[1:-1]]
    assert progress == sorted(progress)
    assert said[-2]["status"] == "completed"
    assert said[-1]["results"]["summary"]
