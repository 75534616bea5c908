"""The page for callers: what it shows runs, what it says of answers and codes is so."""

import asyncio
import json
import os
import re
import shutil
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator

from front_service.described.openapi import OpenApi
from front_service.routes import ROUTES
from shared.runtime.catalogue import BUILT_IN_JOB_TYPES, load_job_types
from tests.house.sources import ROOT
from tests.support.conformance import formats
from tests.support.needs import missing

PAGE: Final = (ROOT / "docs" / "http_api.md").read_text("utf-8")
BASE: Final = "http://127.0.0.1:8080"
DOCUMENT: Final = OpenApi(ROUTES, load_job_types(BUILT_IN_JOB_TYPES)).document()
BEYOND: Final = {"method_not_allowed", "unknown_job_type"}
"""Codes of addresses that are not described: nobody who keeps to the document sees them."""


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


async def said_by(*words: str, cwd: Path) -> str:
    process = await asyncio.create_subprocess_exec(
        *words, stdout=PIPE, stderr=STDOUT, cwd=cwd, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    out, _ = await process.communicate()
    text = out.decode(errors="replace")
    assert process.returncode == 0, text
    return text


@pytest.mark.servers
async def test_every_line_for_the_shell_runs(pair: str, tmp_path: Path) -> None:
    """From the first to the last in one shell, as a reader goes on; each gets what it asked for."""
    shell = shutil.which("bash") or missing("bash is not installed")
    _ = shutil.which("curl") or missing("curl is not installed: apt-get install curl")
    script = "set -euo pipefail\n" + "\necho\n".join(blocks("sh"))
    script = script.replace(BASE, pair).replace("curl -sS", "curl -sS --fail-with-body")
    out = await said_by(shell, "-c", script, cwd=tmp_path)

    assert len(re.findall(r"curl ", script)) > 15
    assert "urn:uketsuke:problem" not in out
    for sign in ('"slept":0.5', '"results":"now"', "data: {", '"kind":"text"', '"tags":["later"]'):
        assert sign in out


@pytest.mark.servers
@pytest.mark.parametrize("number", list(range(len(blocks("python")))))
async def test_every_program_in_python_runs(pair: str, tmp_path: Path, number: int) -> None:
    """To the result."""
    program = blocks("python")[number].replace(BASE, pair)
    out = await said_by(sys.executable, "-c", program, cwd=tmp_path)

    assert "completed 100" in out
    assert "'slept': 0.5" in out


@pytest.mark.servers
@pytest.mark.parametrize("number", list(range(len(blocks("js")))))
async def test_every_program_in_javascript_runs(pair: str, tmp_path: Path, number: int) -> None:
    """In Node as it is; a browser has the same words."""
    node = shutil.which("node") or missing("node is not installed: apt-get install nodejs")
    (tmp_path / "program.mjs").write_text(blocks("js")[number].replace(BASE, pair))
    out = await said_by(node, "program.mjs", cwd=tmp_path)

    assert re.search(r"completed 100 \{ slept: 0.5", out)


@pytest.mark.parametrize(
    ("number", "model"), list(enumerate(["Ticket", "JobStatus", "Problem"])), ids=str
)
def test_every_answer_that_is_shown_is_one(number: int, model: str) -> None:
    """By the schema of the service itself, and without a member that it does not have."""
    shown: dict[str, Any] = json.loads(blocks("json")[number])
    schema = DOCUMENT["components"]["schemas"][model] | {"components": DOCUMENT["components"]}
    faults = Draft202012Validator(schema, format_checker=formats).iter_errors(shown)

    assert [error.message for error in faults] == []
    assert set(shown) <= set(schema["properties"])
    assert len(blocks("json")) == 3


def test_every_code_is_in_the_table() -> None:
    """Each that can come, and none that cannot."""
    rows = re.findall(r"^\| [0-9, ]+ \| ([^|]+) \|", PAGE, re.MULTILINE)
    told = {code for row in rows for code in re.findall(r"`(\w+)`", row)}
    responses = DOCUMENT["components"]["responses"]

    assert told == {code for name in responses for code in name.split("-or-")} | BEYOND


def test_every_option_of_a_job_is_in_the_table() -> None:
    """By the name it has on the wire."""
    table = PAGE[PAGE.index("| member |") : PAGE.index("## Follow")]
    told = {
        name
        for row in re.findall(r"^\| (`[^|]+`) \|", table, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    }

    assert told == set(DOCUMENT["components"]["schemas"]["JobOptions"]["properties"])


def test_every_address_is_on_the_page() -> None:
    """Of those that callers need; what a supervisor asks is told to operators."""
    for path in DOCUMENT["paths"]:
        is_a_callers = not path.startswith(("/livez", "/readyz", "/metrics", "/docs/"))
        if is_a_callers and "/release" not in path and path.count("/") > 1:
            is_submit = "{" not in path and path not in ("/api/jobs", "/api/blobs")
            assert path in PAGE or is_submit, path
