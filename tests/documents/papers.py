"""Documents made for the tests: sound ones, and the kinds of bad ones that come from outside."""

import io
import zipfile
import zlib
from pathlib import Path
from typing import Final

import docx
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from fpdf import FPDF
from pypdf import PdfReader, PdfWriter

FONTS: Final = Path("back_service/handlers/documents/fonts").absolute()
DEMO: Final = Path("examples/demo/reception-desk.pdf").absolute()

PROSE: Final = (
    "The reception desk accepts a request at once and hands out a ticket.",
    "The message broker carries a knock, and the message broker may lose it.",
    "The database keeps every job, so that no job is lost when the message broker is away.",
    "Nobody waits at the reception desk until the work is done.",
)
CHINESE: Final = (
    "前台接待处会立刻接收请求。工作在后面的房间里进行。前台接待处永远不会忘记请求。" * 3
)
ARABIC: Final = "مكتب الاستقبال يأخذ الطلب فورا ويعطي تذكرة للزبون. العمل يجري في الغرفة الخلفية."
HEBREW: Final = "דלפק הקבלה מקבל את הבקשה מיד ונותן כרטיס. העבודה נעשית בחדר האחורי."


def a_pdf(*paragraphs: str, title: str | None = None, pages: int = 1) -> bytes:
    pdf = FPDF()
    pdf.add_font("DejaVu", "", FONTS / "DejaVuSans.ttf")
    if title is not None:
        pdf.set_title(title)
    for _ in range(pages):
        pdf.add_page()
        pdf.set_font("DejaVu", size=11)
        for paragraph in paragraphs:
            pdf.multi_cell(0, 6, paragraph, new_x="LMARGIN", new_y="NEXT")
            pdf.ln(4)
    return bytes(pdf.output())


def an_encrypted_pdf(body: bytes, *, user: str, owner: str = "owner") -> bytes:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(body)))
    writer.encrypt(user, owner, algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def a_raw_pdf(*objects: bytes, root: int = 1, prev: bytes = b"") -> bytes:
    """Write numbered objects with a sound cross-reference table; *prev* goes to the trailer."""
    out, places = bytearray(b"%PDF-1.7\n"), []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<</Size %d/Root %d 0 R%b>>\n" % (len(objects) + 1, root, prev)
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % start)


def a_pdf_whose_tables_chase_each_other() -> bytes:
    body = a_raw_pdf(b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[]/Count 0>>")
    start = body.index(b"xref\n0")
    return body.replace(b"/Root 1 0 R", b"/Root 1 0 R/Prev %d" % start)


def a_pdf_whose_pages_contain_themselves() -> bytes:
    return a_raw_pdf(
        b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[2 0 R 2 0 R]/Count 10>>"
    )


def a_pdf_of_many_pages(count: int) -> bytes:
    return a_raw_pdf(
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count %d/Kids[%b]>>" % (count, b"3 0 R " * count),
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>",
    )


def a_pdf_with_content(content: bytes, *, pages: int = 1) -> bytes:
    packed = zlib.compress(content, 9)
    return a_raw_pdf(
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count %d/Kids[%b]>>" % (pages, b"3 0 R " * pages),
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R"
        b"/Resources<</Font<</F 5 0 R>>>>>>",
        b"<</Length %d/Filter/FlateDecode>>stream\n%b\nendstream" % (len(packed), packed),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    )


def a_docx(*paragraphs: str, title: str = "") -> bytes:
    document = docx.Document()
    document.core_properties.title = title
    for paragraph in paragraphs:
        document.add_paragraph(paragraph)
    return _saved(document)


def a_docx_with_a_table(cell: str, *, span: int = 1) -> bytes:
    document = docx.Document()
    table = document.add_table(rows=1, cols=2)
    table.cell(0, 0).text = cell
    wide = OxmlElement("w:gridSpan")
    wide.set(qn("w:val"), str(span))
    table.cell(0, 0)._tc.get_or_add_tcPr().append(wide)
    return _saved(document)


def a_docx_with(xml: bytes, name: str = "word/document.xml") -> bytes:
    """Replace one member of a sound document."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(a_docx("x"))) as source,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for member in source.namelist():
            if member != name:
                target.writestr(member, source.read(member))
        target.writestr(name, xml)
    return out.getvalue()


def a_bomb(*, member: str = "word/media/image1.png", unpacked: int = 300 * 2**20) -> bytes:
    out = io.BytesIO(a_docx("x"))
    with (
        zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as archive,
        archive.open(member, "w") as file,
    ):
        for _ in range(unpacked // 2**20):
            file.write(bytes(2**20))
    return out.getvalue()


def an_archive(**members: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return out.getvalue()


def _saved(document: "docx.document.Document") -> bytes:
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()
