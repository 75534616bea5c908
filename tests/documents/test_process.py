"""``documents.process`` from the reference of a file to the blobs of its reports."""

import asyncio
import hashlib
import io
from collections.abc import Callable
from datetime import timedelta

import pytest
from pypdf import PdfReader

from back_service.handlers import documents
from back_service.handlers.documents import process
from shared.job_types.documents import DocumentKind, DocumentRequest, ReportFormat
from tests.documents.bench import Bench
from tests.documents.papers import ARABIC, CHINESE, DEMO, PROSE, a_docx, a_pdf
from uketsuke import ChildDied, Fail, Retry


async def test_progress_is_told_in_the_five_promised_steps(bench: Bench) -> None:
    """Clients show these very words and numbers."""
    request = DocumentRequest(document=await bench.upload(a_pdf(*PROSE)))
    async with bench.attempt() as context:
        await process(context, request)

    assert context.said == [
        (25, "downloaded"),
        (50, "text extracted"),
        (75, "analysed"),
        (90, "report generated"),
        (100, "done"),
    ]


async def test_the_demo_document_is_understood(bench: Bench) -> None:
    """What a newcomer tries first must show what the service can do."""
    body = DEMO.read_bytes()

    found = await bench.process(body)

    assert found.document.kind is DocumentKind.PDF
    assert found.document.pages == 7
    assert found.document.title == "How a reception desk works"
    assert found.document.size_bytes == len(body) < 150_000
    assert found.document.sha256 == hashlib.sha256(body).hexdigest()
    assert found.language.code == "en"
    assert found.language.confidence > 0.9
    assert 1_500 < found.statistics.words < 2_000
    assert {"job", "caller", "ticket"} <= {term.term for term in found.key_terms[:5]}
    assert "asynchronous request-reply pattern" in " ".join(found.summary)
    assert len(found.summary) == 5


@pytest.mark.parametrize(
    ("body", "kind", "pages"),
    [
        (a_pdf(*PROSE, pages=2), DocumentKind.PDF, 2),
        (a_docx(*PROSE), DocumentKind.DOCX, None),
        ("\n\n".join(PROSE).encode(), DocumentKind.TEXT, None),
    ],
    ids=["pdf", "docx", "text"],
)
async def test_a_kind_is_judged_by_its_bytes(
    bench: Bench, body: bytes, kind: DocumentKind, pages: int | None
) -> None:
    """A name is what a stranger says; the bytes are what a parser gets."""
    found = await bench.process(body, report=[])

    assert found.document.kind is kind
    assert found.document.pages == pages
    assert found.language.code == "en"
    assert "message broker" in {term.term for term in found.key_terms}


async def test_reports_are_blobs_of_the_wanted_formats(bench: Bench) -> None:
    """A result links to its files; nothing is made that nobody asked for."""
    found = await bench.process(a_pdf(*PROSE))
    one = await bench.process(a_pdf(*PROSE), report=["pdf"])

    assert [report.format for report in found.reports] == [ReportFormat.HTML, ReportFormat.PDF]
    assert [report.format for report in one.reports] == [ReportFormat.PDF]
    html, pdf = [await bench.content(report.url) for report in found.reports]
    assert html.startswith(b"<!doctype html>")
    assert len(PdfReader(io.BytesIO(pdf)).pages) == 1
    assert [len(html), len(pdf)] == [report.size_bytes for report in found.reports]


async def test_options_say_how_much_is_told(bench: Bench) -> None:
    """Whoever wants figures only does not pay for a summary."""
    body = DEMO.read_bytes()

    little = await bench.process(body, summary=False, keyTerms=0, report=[])
    much = await bench.process(body, summarySentences=9, keyTerms=30, language="de", report=[])

    assert (little.summary, little.key_terms, little.reports) == ((), (), ())
    assert len(much.summary) == 9
    assert len(much.key_terms) == 30
    assert (much.language.code, much.language.confidence) == ("de", 1.0)


@pytest.mark.parametrize(
    ("text", "code"), [(CHINESE, "zh"), (ARABIC, "ar")], ids=["chinese", "arabic"]
)
@pytest.mark.parametrize("make", [a_docx, str.encode], ids=["docx", "text"])
async def test_other_scripts_are_read_counted_and_reported(
    bench: Bench, text: str, code: str, make: Callable[[str], bytes]
) -> None:
    """Half the world does not write in Latin letters."""
    found = await bench.process(make(text))

    assert found.language.code == code
    assert found.statistics.words > 10
    assert found.statistics.sentences > 1
    assert found.summary
    assert found.summary[0] in text
    assert found.summary[0] in (await bench.content(found.reports[0].url)).decode()


async def test_a_file_that_is_gone_fails_with_its_code(bench: Bench) -> None:
    """The handler adds nothing to what the context says of a file."""
    request = DocumentRequest.model_validate(
        {"fileUrl": "blob:01890000-0000-7000-8000-0000000012ab"}
    )
    async with bench.attempt() as context:
        with pytest.raises(Fail) as raised:
            await process(context, request)

    assert raised.value.code == "file_not_found"
    assert context.said == []


async def test_a_missing_extra_is_named_with_its_cure(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker without the extra starts all the same, and says what it lacks."""
    monkeypatch.setattr(documents, "NEEDS", ("docx", "no_such_library"))

    with pytest.raises(Fail, match=r"uketsuke\[documents\]") as raised:
        await bench.process(a_pdf(*PROSE))

    assert raised.value.code == "job_type_unavailable"
    assert documents.missing() == ["no_such_library"]


async def test_a_crash_is_tried_once_more_and_then_given_up(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first crash may be the machine's fault; the second is the document's."""

    async def crash(*_args: object, **_kwargs: object) -> None:
        raise ChildDied

    monkeypatch.setattr(bench.offload, "call", crash)

    with pytest.raises(Retry):
        await bench.process(a_pdf(*PROSE))
    assert await bench.failure(a_pdf(*PROSE), attempt=2) == "document_broken"


async def test_a_hang_ends_with_a_code_of_its_own(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A document that keeps its reader busy is not tried again and again."""
    monkeypatch.setattr(documents, "_STEP", timedelta(seconds=0.01))

    assert await asyncio.wait_for(bench.failure(DEMO.read_bytes()), 5) == "document_too_complex"
