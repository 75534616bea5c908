"""Strangers' input of every kind, over the whole document, against the real services."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from front_service.described.common import BLOB_ID, JOB_ID

CONFIG: Final = Path(__file__).parent / "schemathesis.toml"
EXAMPLES: Final = 5  # of each operation, beside those that cover its schema: 1,500 in all

pytestmark = pytest.mark.servers


@pytest.mark.timeout(240)
async def test_no_input_finds_an_answer_that_is_not_described(pair: str, tmp_path: Path) -> None:
    """No 5xx, nothing answered that the document does not have, nothing taken that it forbids."""
    place = tmp_path / "openapi.json"
    place.write_text(await with_real_examples(pair), encoding="utf-8")
    fuzzer = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "--no-color"),
        *("run", str(place), "--url", pair, "--phases", "coverage,fuzzing"),
        *("--max-examples", str(EXAMPLES), "--request-timeout", "20"),
        *("--generation-database", "none", "--suppress-health-check", "all"),
        *("--warnings", "off", "--continue-on-failure", "--no-shrink"),
        stdout=PIPE,
        stderr=STDOUT,
        cwd=tmp_path,
    )
    out, _ = await fuzzer.communicate()

    assert fuzzer.returncode == 0, out.decode(errors="replace")[-20_000:]


async def with_real_examples(url: str) -> str:
    """Give the document with a job that has ended and a blob in place of its made-up ones."""
    wait = {"Prefer": "wait=30"}
    async with aiohttp.ClientSession(url) as session:
        async with session.post("/api/demo/echo", json={"payload": 1}, headers=wait) as response:
            assert response.status == 200, await response.text()
            job_id = (await response.json())["jobId"]
        async with session.post("/api/blobs", data=b"a file") as response:
            blob_id = (await response.json())["blobId"]
        async with session.get("/openapi.json") as response:
            text = json.dumps(await response.json())
    made_up = {
        one.schema["examples"][0]: real for one, real in ((JOB_ID, job_id), (BLOB_ID, blob_id))
    }
    for example, real in made_up.items():
        assert example in text
        text = text.replace(example, real)
    return text
