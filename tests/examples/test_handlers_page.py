"""The page on handlers shows code that runs, and names that exist."""

import asyncio
import json
import os
import re
import shlex
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any, Final

import pytest

import uketsuke
from deploy.local.stack import Stack
from shared.contract import authoring
from shared.contract.job_types import JobType
from tests.support.house import open_house

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "topics" / "handlers.md").read_text(encoding="utf-8")
SOURCES: Final = "\n".join(
    path.read_text(encoding="utf-8") for path in (ROOT / "examples" / "invoices").glob("*.py")
)
SMALLEST, *PIECES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
START, SUBMIT, *_ = re.findall(r"```sh\n(.*?)\n```", PAGE, re.DOTALL)


@pytest.mark.acceptance
async def test_the_smallest_example_runs_as_the_page_says(stack: Stack, tmp_path: Path) -> None:
    """A newcomer's first file: started with the page's variables, called with the page's curl."""
    (tmp_path / "greetings.py").write_text(SMALLEST, encoding="utf-8")
    *settings, _, target = shlex.split(START)
    given = dict(each.split("=", 1) for each in settings)
    assert target == "run"
    assert given.pop("PYTHONPATH") == "/path/to/folder"
    (tmp_path / "house").mkdir()

    async with open_house(stack, tmp_path / "house") as house:
        house.extra = {"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}", **given}
        url = house.url(await house.front())
        await house.back()
        called = SUBMIT.replace("http://127.0.0.1:8080", url)
        ticket = json.loads(await said_by(*shlex.split(called)))
        async with uketsuke.Client(url) as client, asyncio.timeout(60):
            found = [status async for status in client.watch(ticket["jobId"])]

    assert found[-1].status == "completed"
    assert found[-1].results == ["Hello, Ada!"] * 5
    assert any(0 < status.progress < 100 for status in found)


async def said_by(*words: str) -> Any:
    process = await asyncio.create_subprocess_exec(*words, stdout=PIPE)
    out, _ = await process.communicate()
    return out


@pytest.mark.parametrize("block", PIECES)
def test_each_piece_of_code_is_from_the_example(block: str) -> None:
    """Code that nobody runs goes wrong unnoticed."""
    squeezed = re.sub(r"[ \t]+", " ", SOURCES)

    assert re.sub(r"[ \t]+", " ", block).strip() in squeezed


def test_the_table_of_a_job_type_names_its_members() -> None:
    """A policy that was renamed must not live on in the manual."""
    rows = re.findall(r"^\| (`[a-z_`, ]+`) \|", PAGE, re.MULTILINE)
    names = {name for row in rows for name in re.findall(r"`([a-z_]+)`", row)}

    assert len(names) > 7
    assert names <= set(JobType.__dataclass_fields__)


def test_every_call_of_the_context_exists() -> None:
    """And so does everything a handler may raise."""
    calls = set(re.findall(r"context\.([a-z_]+)", PAGE))
    raised = set(re.findall(r"^\| `([A-Z][a-z]+)\(", PAGE, re.MULTILINE))

    assert calls <= set(vars(authoring.Context)) | {"checkpoint"}
    assert raised == {"Retry", "Fail", "Snooze"}
    assert raised <= set(uketsuke.__all__)


def test_links_lead_somewhere() -> None:
    """A page that was moved is noticed."""
    for target in re.findall(r"\]\(([^)]+)\)", PAGE):
        assert (ROOT / "docs" / "topics" / target).resolve().exists(), target
