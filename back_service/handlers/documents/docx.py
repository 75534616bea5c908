"""Read the text of a Word document, paragraph by paragraph, tables and text boxes among them."""

import zipfile
from pathlib import Path
from typing import Final

from back_service.handlers.documents.contents import Contents
from uketsuke import Fail

_MOST_MEMBERS: Final = 5_000
_MOST_UNPACKED: Final = 200 * 2**20
_MOST_XML: Final = 50 * 2**20
_MAIN: Final = "word/document.xml"
_FALLBACK: Final = (
    "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"  # says it again
)


def read_docx(path: Path) -> Contents:
    _judge_archive(path)

    import docx
    from docx.oxml.ns import qn
    from docx.text.paragraph import Paragraph

    document = docx.Document(str(path))
    paragraphs = [
        Paragraph(element, document._body).text  # noqa: SLF001  # iterating tables explodes spans
        for element in document.element.body.iter(qn("w:p"))
        if next(element.iterancestors(_FALLBACK), None) is None
    ]
    return Contents(paragraphs=paragraphs, title=document.core_properties.title)


def _judge_archive(path: Path) -> None:
    """Refuse what is no Word document, or would unpack to more than we are ready to hold.

    A size that an archive states too small is no way round: no more than stated is unpacked.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    names = {member.filename for member in members}
    if _MAIN not in names or "[Content_Types].xml" not in names:
        raise Fail("document_unsupported", "Only PDF, Word (docx) and plain text are read here")
    unpacked = sum(member.file_size for member in members)
    texts = (member.file_size for member in members if member.filename.endswith((".xml", ".rels")))
    if len(members) > _MOST_MEMBERS or unpacked > _MOST_UNPACKED or max(texts) > _MOST_XML:
        raise Fail("document_too_large", "The document unpacks to more than can be read")
