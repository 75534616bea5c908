"""Callers of the real services: one who knows the documents alone, and one who copies the page."""

import asyncio
import os
import re
import shutil
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from jsonschema import Draft202012Validator

from tests.contract.page import BASE, blocks
from tests.contract.stranger import Reply, Stranger
from tests.house.sources import ROOT
from tests.support.needs import missing

pytestmark = pytest.mark.servers

NEVER_HERE = frozenset({"releaseKey"})
"""Of the built-in job types no key stops at a failure: there is nothing to release."""


@pytest.fixture(scope="module")
async def stranger(pair: str) -> AsyncIterator[Stranger]:
    async with aiohttp.ClientSession(pair) as session:
        async with session.get("/openapi.json") as response:
            document = await response.json()
        yield Stranger(session, document)


async def submit(stranger: Stranger, name: str, body: Any, **given: Any) -> Reply:
    reply = await stranger.call(name, body, **given)
    assert reply.status in (200, 202)
    return reply


async def ended(stranger: Stranger, job_id: str) -> Reply:
    """Wait as the document says: held by the service, asked again."""
    async with asyncio.timeout(60):
        reply = await stranger.call("getJob", id=job_id, wait=10)
        while reply.content["status"] in ("pending", "processing"):
            reply = await stranger.call("getJob", id=job_id, wait=10)
    return reply


async def test_a_stranger_drives_every_route(stranger: Stranger, pair: str) -> None:
    """Submit, follow, read, cancel, replay, list and files: each operation does its work once."""
    await files(stranger)
    await a_job_to_its_end(stranger)
    await a_job_that_is_stopped(stranger)
    await many_at_once(stranger)
    await the_rest(stranger, pair)

    did = {
        name
        for name, statuses in stranger.answered.items()
        if any(status < 400 or status == 426 for status in statuses)
    }
    assert set(stranger.places) - did == NEVER_HERE
    assert stranger.answered["releaseKey"] == {409}


async def files(stranger: Stranger) -> None:
    stored = await stranger.call("uploadBlob", b"To be, or not to be. That is the question.")
    fetched = await stranger.follow("uploadBlob", stored, "download")
    part = await stranger.call("downloadBlob", id=stored.content["blobId"], Range="bytes=0-4")
    later = {"document": stored.content["reference"], "job": {"delaySeconds": 3_600}}
    ticket = await submit(stranger, "submit_documents_process", later)
    status = await stranger.follow("submit_documents_process", ticket, "status")

    assert fetched.body.startswith(b"To be")
    assert (part.status, part.body) == (206, b"To be")
    assert status.content["state"] == "scheduled"


async def a_job_to_its_end(stranger: Stranger) -> None:
    name, key = "submit_demo_echo", {"Idempotency-Key": "a stranger's"}
    ticket = await submit(stranger, name, stranger.example(name), **key)
    again = await submit(stranger, name, stranger.example(name), **key)
    job_id = ticket.content["jobId"]
    status = await ended(stranger, job_id)
    known = await stranger.call("getJob", id=job_id, **{"If-None-Match": status.headers["ETag"]})
    there = await stranger.call("getJob", id=job_id, redirect="true")
    result = await stranger.follow(name, ticket, "result")
    events = await stranger.follow(name, ticket, "events")
    await stranger.call("getStatus", id=job_id, collection="demo")
    listed = await stranger.call("listJobs", type="demo.echo", limit=1)
    await stranger.call("releaseKey", id=job_id)

    assert again.content["jobId"] == job_id
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (known.status, there.status) == (304, 303)
    assert result.content["results"] == stranger.example(name)["payload"]
    assert events.body.count(b"data: ") == 1
    assert listed.content["jobs"][0]["jobId"] == job_id


async def a_job_that_is_stopped(stranger: Stranger) -> None:
    name = "submit_demo_sleep"
    later = {"seconds": 0.1, "job": {"delaySeconds": 3_600}}
    ticket = await submit(stranger, name, later)
    job_id = ticket.content["jobId"]
    stopped = await stranger.follow(name, ticket, "cancel")
    again = await stranger.call("cancelJob", id=job_id, collection="demo")
    await stranger.follow(name, ticket, "replay")
    status = await ended(stranger, job_id)

    assert stopped.content["status"] == again.content["status"] == "cancelled"
    assert status.content["status"] == "completed"
    assert status.content["replays"] == 1


async def many_at_once(stranger: Stranger) -> None:
    entry = {"type": "demo.echo", "request": {"payload": 3}}
    ticket = await stranger.call("submitBatch", {"jobs": [entry, entry]})
    batch = ticket.content["batchId"]
    events = await stranger.call("getBatchEvents", id=batch)  # they end with the batch
    status = await stranger.follow("submitBatch", ticket, "batch")
    refused = [await stranger.call("watchBatch", id=batch), await stranger.call("watchJobs")]
    wish = {"action": "delete", "filter": {"batch": batch}, "dryRun": True}
    counted = await stranger.call("changeJobs", wish)
    job_id = ticket.content["jobs"][0]["jobId"]
    token = await stranger.call("mintToken", {"ttlSeconds": 60}, id=job_id)
    for name in ("listDeadLetters", "getStats", "listJobTypes"):
        assert (await stranger.call(name)).status == 200

    assert b"batch.completed" in events.body
    assert status.content["status"] == "completed"
    assert [reply.status for reply in refused] == [426, 426]
    assert counted.content["matched"] == 2
    assert token.status == 201


async def the_rest(stranger: Stranger, pair: str) -> None:
    for name in ("livez", "readyz", "metrics", "docs", "getOpenApi"):
        assert (await stranger.call(name)).status == 200
    assert (await stranger.call("docsFile", file="docs.js")).status == 200
    described = (await stranger.call("getAsyncApi")).content
    ticket = await submit(stranger, "submit_demo_echo", {"payload": 2})
    frames = await listened(pair, described, ticket.content["jobId"])
    refused = await stranger.call("watchJob", id=ticket.content["jobId"])

    assert frames[-1]["results"] == 2
    assert refused.status == 426


async def listened(pair: str, described: Any, job_id: str) -> list[Any]:
    """Follow a job by the channel that the AsyncAPI document has for sockets."""
    channel = described["channels"]["jobSocket"]
    schema = {"$ref": "#/components/schemas/Frame", "components": described["components"]}
    frames: list[Any] = []
    async with (
        aiohttp.ClientSession(pair) as session,
        session.ws_connect(channel["address"].format(id=job_id)) as socket,
    ):
        async for message in socket:
            frames.append(orjson.loads(message.data))
            Draft202012Validator(schema).validate(frames[-1])
    return frames


async def test_every_line_for_the_shell_runs(pair: str, tmp_path: Path) -> None:
    """From the first to the last in one shell, as a reader goes on; each gets what it asked for."""
    shell = shutil.which("bash") or missing("bash is not installed")
    _ = shutil.which("curl") or missing("curl is not installed: apt-get install curl")
    script = "set -euo pipefail\n" + "\necho\n".join(blocks("sh"))
    script = script.replace(BASE, pair).replace("curl -sS", "curl --fail-with-body -sS")
    out = await said_by(shell, "-c", script, cwd=tmp_path)

    assert len(re.findall(r"curl ", script)) > 15
    assert "urn:uketsuke:problem" not in out
    for sign in (
        '"slept":0.5',
        '"results":"now"',
        "data: {",
        "/api/documents/status/",
        '"tags":["later"]',
    ):
        assert sign in out


@pytest.mark.parametrize("number", list(range(len(blocks("python")))))
async def test_every_program_in_python_runs(pair: str, tmp_path: Path, number: int) -> None:
    """To the result."""
    program = blocks("python")[number].replace(BASE, pair)
    out = await said_by(sys.executable, "-c", program, cwd=tmp_path)

    assert "completed 100" in out
    assert "'slept': 0.5" in out


@pytest.mark.parametrize("number", list(range(len(blocks("js")))))
async def test_every_program_in_javascript_runs(pair: str, tmp_path: Path, number: int) -> None:
    """In Node as it is; a browser has the same words."""
    node = shutil.which("node") or missing("node is not installed: apt-get install nodejs")
    (tmp_path / "program.mjs").write_text(blocks("js")[number].replace(BASE, pair))
    out = await said_by(node, "program.mjs", cwd=tmp_path)

    assert re.search(r"completed 100 \{ slept: 0.5", out)


async def said_by(*words: str, cwd: Path) -> str:
    process = await asyncio.create_subprocess_exec(
        *words, stdout=PIPE, stderr=STDOUT, cwd=cwd, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    out, _ = await process.communicate()
    text = out.decode(errors="replace")
    assert process.returncode == 0, text
    return text
