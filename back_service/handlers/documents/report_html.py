"""The report as one HTML page that needs nothing else: no script, no picture, no outside style."""

from pathlib import Path

from back_service.handlers.documents.findings import Findings


def render_html(findings: Findings) -> str:
    """Fill the page; whatever a document says of itself is text in it, never markup."""
    import jinja2

    folder = Path(__file__).parent
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.from_string((folder / "report.html.j2").read_text(encoding="utf-8"))
    return page.render(report=findings)
