"""The demo handlers, and the job type as clients see it."""

import asyncio
import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from back_service.handlers.demo import echo, sleep
from shared.job_types.demo import EchoRequest, SleepRequest, SleepResult
from shared.job_types.documents import DocumentAnalysis, DocumentRequest, ReportFormat
from tests.documents.bench import Bench

BLOB = "blob:01890000-0000-7000-8000-0000000012ab"


@pytest.mark.parametrize("payload", [None, 0, "text", [1, {"a": None}], {"nested": [[]]}])
async def test_echo_answers_what_it_was_given(bench: Bench, payload: object) -> None:
    """The first try of a newcomer, and the measure of all overhead."""
    async with bench.attempt() as context:
        assert await echo(context, EchoRequest(payload=payload)) == payload


async def test_sleep_tells_of_each_step(bench: Bench) -> None:
    """Progress can be watched without any real work."""
    async with bench.attempt() as context:
        answer = await sleep(context, SleepRequest(seconds=0.01, steps=4))

    assert answer == SleepResult(slept=0.01, steps=4)
    assert context.said == [(25.0 * step, f"step {step} of 4") for step in range(1, 5)]


async def test_sleep_can_be_cancelled(bench: Bench) -> None:
    """Nobody waits an hour for a job they have cancelled."""
    async with bench.attempt() as context:
        work = asyncio.create_task(sleep(context, SleepRequest(seconds=3_600, steps=1)))
        await asyncio.sleep(0)
        work.cancel()

        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(work, 1)


@pytest.mark.parametrize("member", ["document", "fileUrl"])
@pytest.mark.parametrize("address", [BLOB, "https://files.example/a.pdf"])
def test_a_document_has_one_of_two_names(member: str, address: str) -> None:
    """Both names mean the same; what they hold may be uploaded or fetched."""
    request = DocumentRequest.model_validate({member: address})

    assert request.file == address
    assert request.options.report == (ReportFormat.HTML, ReportFormat.PDF)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"document": BLOB, "fileUrl": BLOB},
        {"document": "ftp://files.example/a"},
        {"document": "blob:not-an-id"},
        {"document": BLOB, "name": "x"},
        {"document": BLOB, "options": {"report": ["html", "html"]}},
        {"document": BLOB, "options": {"report": ["docx"]}},
        {"document": BLOB, "options": {"summarySentences": 0}},
        {"document": BLOB, "options": {"summarySentences": 21}},
        {"document": BLOB, "options": {"keyTerms": -1}},
        {"document": BLOB, "options": {"language": "English"}},
        {"document": BLOB, "options": {"colour": "red"}},
    ],
)
def test_a_request_that_says_too_little_or_too_much_is_refused(body: dict[str, Any]) -> None:
    """At the door, before anything is stored."""
    with pytest.raises(ValidationError):
        DocumentRequest.model_validate(body)


def test_the_wire_speaks_camel_case() -> None:
    """Results are documents for clients, not for Python."""
    schema = DocumentAnalysis.model_json_schema(mode="serialization")

    assert {"keyTerms", "reports", "statistics"} <= schema["properties"].keys()


def test_a_worker_starts_without_the_extra() -> None:
    """Importing the handler brings none of the heavy libraries."""
    heavy = "{'docx', 'fpdf', 'jinja2', 'numpy', 'py3langid', 'pypdfium2', 'sentencex'}"
    code = f"import sys, back_service.handlers.documents; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
