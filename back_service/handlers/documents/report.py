"""Write the reports on a document: what they say, the same in every format. Runs in a child."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from back_service.handlers.documents.findings import Findings
from shared.job_types.documents import ReportFormat

CONTENT_TYPES: Final = {
    ReportFormat.HTML: "text/html; charset=utf-8",
    ReportFormat.PDF: "application/pdf",
}


def write_reports(
    findings: Findings, formats: Sequence[ReportFormat], folder: Path
) -> dict[ReportFormat, Path]:
    """Write the report in each of *formats* to a file of its own in *folder*."""
    return {wanted: _write(findings, wanted, folder) for wanted in _distinct(formats)}


def _write(findings: Findings, wanted: ReportFormat, folder: Path) -> Path:
    path = folder / f"report.{wanted}"
    match wanted:
        case ReportFormat.HTML:
            from back_service.handlers.documents.report_html import render_html

            path.write_text(render_html(findings), encoding="utf-8")
        case ReportFormat.PDF:
            from back_service.handlers.documents.report_pdf import render_pdf

            path.write_bytes(render_pdf(findings))
    return path


def _distinct(formats: Iterable[ReportFormat]) -> list[ReportFormat]:
    return list(dict.fromkeys(formats))
