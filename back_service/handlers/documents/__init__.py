"""Handle ``documents.process``: fetch, read, analyse, report, each step told as it is done.

This module orchestrates; whatever touches the bytes of a stranger's file runs in a child, which
also is where the libraries of the extra ``documents`` are imported. A document that crashes a
parser, fills its memory or keeps it busy ends as a failure with a clear code, after one more
try at most.
"""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Final, TypeVar

from back_service.handlers.documents.analysis import Analysis, analyse
from back_service.handlers.documents.findings import Findings
from back_service.handlers.documents.reading import Reading, read
from back_service.handlers.documents.report import CONTENT_TYPES, write_reports
from shared.job_types.documents import (
    LARGEST_DOCUMENT,
    PROCESS,
    DocumentAnalysis,
    DocumentFacts,
    DocumentRequest,
    Report,
    ReportFormat,
)
from uketsuke import ChildDied, Context, Fail, Retry, handles

T = TypeVar("T")

EXTRA: Final = "documents"
NEEDS: Final = (
    "docx", "fpdf", "jinja2", "numpy", "py3langid", "pypdfium2", "sentencex", "snowballstemmer",
    "stopwordsiso", "uharfbuzz",
)  # fmt: skip
"""Modules of the extra, without which this job type is not available."""

PRELOAD: Final = (*NEEDS, "back_service.handlers.documents.analysis:warm")
"""What the nursery imports and calls beforehand, so that no job pays for it."""

_STEP: Final = timedelta(seconds=90)
_LIMITS: Final = frozenset({"out_of_memory", "result_too_large"})


def missing() -> list[str]:
    """List the modules of the extra that are not installed."""
    return [module for module in NEEDS if find_spec(module) is None]


def lacking() -> list[str]:
    """Name the job types that cannot be run without the extra."""
    return [PROCESS.name] if missing() else []


@handles(PROCESS)
async def process(context: Context, request: DocumentRequest) -> DocumentAnalysis:
    """Answer what a document is, what it says, and where the reports on it are."""
    if missing():
        raise Fail("job_type_unavailable", f"this worker needs: pip install 'uketsuke[{EXTRA}]'")
    path = await context.fetch(request.file, most_bytes=LARGEST_DOCUMENT)
    await context.progress(25, "downloaded")
    reading = await _guarded(context, context.offload(read, path))
    await context.progress(50, "text extracted")
    analysis = await _guarded(
        context, context.offload(analyse, reading.paragraphs, request.options)
    )
    await context.progress(75, "analysed")
    findings = _findings(reading, analysis)
    written = await _guarded(
        context, context.offload(write_reports, findings, request.options.report, context.folder)
    )
    reports = [await _kept(context, form, path) for form, path in written.items()]
    await context.progress(90, "report generated")
    answer = DocumentAnalysis(
        document=findings.document,
        language=findings.language,
        statistics=findings.statistics,
        key_terms=findings.key_terms,
        summary=findings.summary,
        reports=tuple(reports),
    )
    await context.progress(100, "done")
    return answer


async def _guarded(context: Context, step: Awaitable[T]) -> T:
    """Wait for one step in its child, and put what went wrong into words of documents."""
    try:
        async with asyncio.timeout(_STEP.total_seconds()):
            return await step
    except TimeoutError as error:
        raise Fail(
            "document_too_complex", f"a step took more than {_STEP.total_seconds():.0f} seconds"
        ) from error
    except ChildDied as error:
        if context.attempt == 1:
            raise Retry("the child that read the document ended early") from error
        raise Fail("document_broken", "the document crashes its reader") from error
    except Fail as error:
        if error.code in _LIMITS:
            raise Fail(
                "document_too_large", f"the document needs too much: {error.code}"
            ) from error
        raise


def _findings(reading: Reading, analysis: Analysis) -> Findings:
    return Findings(
        document=DocumentFacts(
            kind=reading.kind,
            pages=reading.pages,
            size_bytes=reading.size_bytes,
            sha256=reading.sha256,
            title=reading.title,
        ),
        language=analysis.language,
        statistics=analysis.statistics,
        key_terms=analysis.key_terms,
        summary=analysis.summary,
    )


async def _kept(context: Context, form: ReportFormat, path: Path) -> Report:
    blob = await context.keep(path, name=path.name, content_type=CONTENT_TYPES[form])
    return Report(format=form, url=blob.url, size_bytes=blob.size_bytes)
