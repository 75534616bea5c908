"""A file as a member of a request."""

import re
from typing import Any, Final
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from shared.contract.files import FileReference, file_references
from shared.contract.ids import BlobId

BLOB: Final = BlobId(UUID("0193a0c0-0000-7000-8000-000000000001"))  # the same in every process


class Folder(BaseModel):
    cover: FileReference | None = None
    pages: list[FileReference] = []
    named: dict[str, FileReference] = {}
    below: "Folder | None" = None
    note: str = ""


def is_taken(text: Any) -> bool:
    try:
        Folder.model_validate({"cover": text})
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    "text", [f"blob:{BLOB}", "https://a.example/x.pdf", "http://a.example", "https://x?a=b"]
)
def test_a_blob_or_an_address_is_taken(text: str) -> None:
    """It stays the very text that was sent."""
    assert Folder.model_validate({"cover": text}).cover == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.pdf",
        "blob:",
        "blob:1",
        f"blob:{BLOB}x",
        f"BLOB:{BLOB}",
        f"blob: {BLOB}",
        f"blob:{{{BLOB}}}",
        "file:///etc/passwd",
        "ftp://a.example/x",
        "gopher://a.example",
        "javascript:alert(1)",
        "https:/a.example",
        "https://a.example/\nx",
        "https://a.example/a b",
        "https://a.example/\x00",
        "https://a.example/" + "x" * 2_048,
        "HTTPS://a.example",
        "https://",
        "https://[::1/x",
        "https://a.example:99999/x",
        "https://user@a.example/x",
        "https://user:secret@a.example/x",
        "https://a.example/x#part",
        7,
        ["https://a.example"],
    ],
)
def test_anything_else_is_refused(text: object) -> None:
    """At the door, before anybody opens a file or a socket."""
    assert not is_taken(text)


@given(st.text())
def test_no_text_does_harm(text: str) -> None:
    """Taken or refused, nothing else."""
    assert is_taken(text) in (True, False)


def test_it_knows_its_blob() -> None:
    """And only the canonical form of its id."""
    assert FileReference.to_blob(BLOB).blob_id == BLOB
    assert FileReference("https://a.example").blob_id is None
    assert FileReference("blob:1").blob_id is None


def test_all_files_of_a_request_are_found() -> None:
    """However deep: each blob must be kept until the job has ended."""
    texts = [f"blob:{BLOB}", "https://a.example/1", "https://a.example/2", "https://a.example/3"]
    folder = Folder.model_validate(
        {
            "cover": texts[0],
            "pages": texts[1:2],
            "below": {"named": {"a": texts[2]}, "below": {"cover": texts[3]}},
            "note": f"blob:{BLOB}",
        }
    )

    assert sorted(file_references(folder)) == sorted(texts)


def test_its_schema_says_what_it_is() -> None:
    """A page that describes a job type can offer to choose a file."""
    schema = TypeAdapter(FileReference).json_schema()

    assert schema.pop("pattern")
    assert schema == {"type": "string", "format": "file-reference"}


@given(st.text(max_size=20), st.sampled_from(["https://", "http://", "blob:", ""]))
def test_its_schema_refuses_nothing_that_is_taken(rest: str, begin: str) -> None:
    """A client that checks before it sends must not be stricter than we are."""
    pattern = TypeAdapter(FileReference).json_schema()["pattern"]
    try:
        FileReference.check(begin + rest)
    except ValueError:
        return
    assert re.search(pattern, begin + rest)
