"""Bad documents, each by its kind: a clear code, at once, and never a retry."""

import asyncio
import random
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from back_service.handlers.documents.reading import Reading, read
from tests.documents import papers
from tests.documents.bench import Bench
from uketsuke import ChildDied, Fail

SOUND = papers.a_pdf(*papers.PROSE)
LAUGHS = (
    b'<!DOCTYPE x [<!ENTITY a "ha">'
    + b"".join(b'<!ENTITY %c "%b">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(12))
    + b"]>"
)
BODY = (
    b'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
    b"<w:body><w:p><w:r><w:t>%b</w:t></w:r></w:p></w:body></w:document>"
)
FULL = b"BT /F 9 Tf 10 790 Td " + b"(%b) Tj 0 -12 Td " % (b"word " * 20) * 60 + b"ET"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2_000)
MEMBERS = {"word/document.xml": "", "[Content_Types].xml": ""}
BROKEN, LARGE, OTHER = "document_broken", "document_too_large", "document_unsupported"
SILENT, LOCKED, ANY = "document_without_text", "document_encrypted", "document_"

CASES: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", SILENT),
    "blanks": (lambda: b" \n\t\r\n" * 100, SILENT),
    "punctuation": (lambda: b"... --- !!!", SILENT),
    "scan": (papers.a_pdf, SILENT),
    "empty docx": (papers.a_docx, SILENT),
    "encrypted": (lambda: papers.an_encrypted_pdf(SOUND, user="secret"), LOCKED),
    "encrypted office": (lambda: OLE + "EncryptedPackage".encode("utf-16-le"), LOCKED),
    "old office": (lambda: OLE, OTHER),
    "head alone": (lambda: b"%PDF-1.7\n", BROKEN),
    "truncated": (lambda: SOUND[:400], BROKEN),
    "garbage": (lambda: b"%PDF-1.7\n" + random.Random(1).randbytes(50_000), BROKEN),
    "table loop": (papers.a_pdf_whose_tables_chase_each_other, ANY),
    "page loop": (papers.a_pdf_whose_pages_contain_themselves, ANY),
    "million pages": (lambda: papers.a_pdf_of_many_pages(1_000_000), ANY),
    "too many pages": (lambda: papers.a_pdf_of_many_pages(2_001), LARGE),
    "stream bomb": (lambda: papers.a_pdf_with_content(bytes(400 * 2**20)), ANY),
    "a whole shelf": (lambda: papers.a_pdf_with_content(FULL, pages=1_500), LARGE),
    "zip bomb": (papers.a_bomb, LARGE),
    "xml bomb": (lambda: papers.a_bomb(member="word/huge.xml", unpacked=60 * 2**20), LARGE),
    "many members": (
        lambda: papers.an_archive(**MEMBERS, **{f"n{number}": "" for number in range(6_000)}),
        LARGE,
    ),
    "laughs": (lambda: papers.a_docx_with(LAUGHS + BODY % b"&m;"), ANY),
    "bad xml": (lambda: papers.a_docx_with(b"<w:document>"), BROKEN),
    "deep xml": (lambda: papers.a_docx_with(b"<a>" * 100_000), BROKEN),
    "cut docx": (lambda: papers.a_docx(*papers.PROSE)[:-200], BROKEN),
    "other archive": (lambda: papers.an_archive(readme="x"), OTHER),
    "binary": (lambda: random.Random(2).randbytes(10_000), OTHER),
    "nul": (lambda: b"text with a \x00 in it", OTHER),
    "utf-16 without mark": (lambda: "no mark at all".encode("utf-16-le"), OTHER),
    "half of utf-16": (lambda: b"\xff\xfea\x00b", BROKEN),
    "picture": (lambda: b"\x89PNG\r\n\x1a\n" + bytes(100), OTHER),
    "packed": (lambda: b"\x1f\x8b\x08" + bytes(100), OTHER),
    "rich text": (lambda: b"{\\rtf1 hello}", OTHER),
    "postscript": (lambda: b"%!PS-Adobe-3.0\nshowpage", OTHER),
    "page of the web": (lambda: b"\n <!DOCTYPE html><p>hello", OTHER),
    "too much text": (lambda: b"word " * 700_000, LARGE),
}


@pytest.mark.parametrize(("make", "code"), CASES.values(), ids=CASES)
async def test_a_bad_document_ends_with_a_clear_code(
    bench: Bench, make: Callable[[], bytes], code: str
) -> None:
    """Whoever sent it learns what is wrong; the worker does not even notice."""
    found = await asyncio.wait_for(bench.failure(make()), 60)

    assert found.startswith(code)


async def test_a_wide_table_costs_nothing(bench: Bench) -> None:
    """A cell that says it spans a thousand million columns is one cell."""
    body = papers.a_docx_with_a_table(papers.PROSE[0], span=10**9)

    found = await asyncio.wait_for(bench.process(body, report=[]), 30)

    assert found.statistics.sentences == 1


async def test_nothing_outside_is_read(bench: Bench, tmp_path: Path) -> None:
    """An entity that names a file of ours stays a name."""
    (tmp_path / "ours").write_text("canary")
    entity = b'<!DOCTYPE x [<!ENTITY e SYSTEM "file://%b">]>' % bytes(tmp_path / "ours")
    body = papers.a_docx_with(entity + BODY % b"text and &e; text")

    found = await bench.process(body)

    assert found.statistics.words == 2
    assert "canary" not in (await bench.content(found.reports[0].url)).decode()


async def test_a_pdf_without_a_user_password_is_read(bench: Bench) -> None:
    """Many documents forbid printing only; everybody may read them."""
    found = await bench.process(papers.an_encrypted_pdf(SOUND, user=""), report=[])

    assert found.statistics.sentences == 4


@pytest.mark.parametrize("body", [SOUND, papers.a_docx(*papers.PROSE)], ids=["pdf", "docx"])
async def test_a_damaged_document_is_read_or_refused(bench: Bench, body: bytes) -> None:
    """Bytes change on their way; whatever changed, the answer is one of the known ones."""
    dice = random.Random(7)
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(40):
            path = Path(folder) / str(turn)
            path.write_bytes(_damaged(body, dice))
            try:
                found = await asyncio.wait_for(bench.offload.call(read, [path]), 60)
                assert isinstance(found, Reading)
            except Fail as error:
                assert error.code.startswith("document_")  # noqa: PT017  # both are fine
            except ChildDied:
                pass  # a crash of the parser's, which nobody else notices


def _damaged(body: bytes, dice: random.Random) -> bytes:
    damaged = bytearray(body)
    for _ in range(dice.randint(1, 20)):
        start = dice.randrange(len(damaged))
        damaged[start : start + dice.randint(0, 30)] = dice.randbytes(dice.randint(0, 30))
    return bytes(damaged)
