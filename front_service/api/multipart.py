"""Read a submit that brings its files along: parts to the blob store, references to the request.

A file part named like a member of the request becomes that member's value, ``blob:<id>``;
several of one name become a list.
"""

from collections.abc import AsyncIterator
from typing import Any, Final

from aiohttp import BodyPartReader, MultipartReader, hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from front_service.api.bodies import Inflow, ask_for_body, in_time
from front_service.bodies import read_object
from front_service.uploads import Uploads
from shared.contract.authoring import Blob
from shared.contract.errors import Malformed, TooLarge
from shared.contract.files import FileReference
from shared.contract.ids import TenantId

_REQUEST: Final = "request"
_MOST_PARTS: Final = 64
_PIECE: Final = 65_536
_BAD_PARTS: Final = (
    *(ValueError, RuntimeError, AssertionError, LookupError),
    *(HttpProcessingError, web.HTTPException),
)
_AS_IT_IS: Final = frozenset(("", "7bit", "8bit", "binary"))


class Form:
    """What a multipart submit held."""

    def __init__(self) -> None:
        self.members: dict[str, Any] | None = None
        self.files: dict[str, list[Blob]] = {}

    def filled(self) -> tuple[dict[str, Any], dict[str, str]]:
        """Put the references into the request; answer it and the digest of each file member."""
        if self.members is None:
            raise Malformed("There is no part named request.")
        members, digests = dict(self.members), dict[str, str]()
        for name, blobs in self.files.items():
            references = [str(FileReference.to_blob(blob.id)) for blob in blobs]
            members[name] = references[0] if len(references) == 1 else references
            digests[name] = ",".join(blob.sha256 for blob in blobs)
        return members, digests


async def read_form(
    request: web.Request, inflow: Inflow, uploads: Uploads, tenant: TenantId, *, most_bytes: int
) -> Form:
    """Read all parts, together no more than *inflow* takes, the request no more than *most_bytes*.

    Files are durable when this returns, and orphans if it raises.
    """
    await ask_for_body(request)
    form = Form()
    reader = await _parts(request)
    for _ in range(_MOST_PARTS + 1):
        part = await _next(reader)
        if part is None:
            return form
        await _take(form, part, inflow, uploads, tenant, most_bytes=most_bytes)
    raise Malformed(f"There are more than {_MOST_PARTS} parts.")


async def _take(
    form: Form,
    part: BodyPartReader,
    inflow: Inflow,
    uploads: Uploads,
    tenant: TenantId,
    *,
    most_bytes: int,
) -> None:
    name = part.name
    if not name or "\0" in name:
        raise Malformed("A part has no name.")
    if not name.isprintable():  # nor what was not UTF-8: it could not be told on
        raise Malformed("A part's name is no text.")
    if part.headers.get(hdrs.CONTENT_TRANSFER_ENCODING, "").strip().lower() not in _AS_IT_IS:
        raise Malformed("Send parts as they are, without Content-Transfer-Encoding.")
    if name == _REQUEST:
        if form.members is not None:
            raise Malformed("There are two parts named request.")
        form.members = read_object(await _small(part, inflow, most_bytes))
        return
    blob = await uploads.take(
        tenant,
        _pieces(part, inflow),
        name=part.filename or name,
        content_type=part.headers.get(hdrs.CONTENT_TYPE, ""),
    )
    form.files.setdefault(name, []).append(blob)


async def _parts(request: web.Request) -> MultipartReader:
    try:
        return await request.multipart()
    except _BAD_PARTS:
        raise Malformed("The body is not multipart/form-data.") from None


async def _next(reader: MultipartReader) -> BodyPartReader | None:
    try:
        part = await in_time(reader.next())
    except _BAD_PARTS:
        raise Malformed("The body is not multipart/form-data.") from None
    if part is None or isinstance(part, BodyPartReader):
        return part
    raise Malformed("A part has parts of its own.")


async def _small(part: BodyPartReader, inflow: Inflow, most_bytes: int) -> bytes:
    raw = bytearray()
    async for piece in _pieces(part, inflow):
        raw += piece
        if len(raw) > most_bytes:
            raise TooLarge(f"The part named request may have {most_bytes} bytes.")
    return bytes(raw)


async def _pieces(part: BodyPartReader, inflow: Inflow) -> AsyncIterator[bytes]:
    while True:
        try:
            piece = await inflow.next(part.read_chunk(_PIECE))
        except _BAD_PARTS:
            raise Malformed("The body is not multipart/form-data.") from None
        if not piece:
            return
        yield piece
