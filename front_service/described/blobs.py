"""Upload and download of files."""

from dataclasses import replace
from typing import Final

from front_service.described.common import BLOB_ID, ETAG, IF_NONE_MATCH, LOCATION
from front_service.described.models import StoredBlob
from front_service.described.operation import Answer, Body, Header, Operation, Parameter
from front_service.refusals import BadRange, TooSlow
from shared.contract.errors import TooLarge, Unavailable, UnknownBlob, UnsupportedMedia

_ANYTHING: Final = {"*/*": {"type": "string", "format": "binary"}}
_DISPOSITION: Final = Header(
    name="Content-Disposition",
    schema={"type": "string"},
    text="Its name, and that it is to be saved, not shown.",
    always=True,
)
_RANGES: Final = Header(
    name="Accept-Ranges", schema={"const": "bytes"}, text="Parts can be had.", always=True
)

UPLOAD: Final = Operation(
    name="uploadBlob",
    summary="Store a file",
    text="The body is the file, of any type and size up to a limit of this service. A request "
    "refers to it by `reference`. A file that no job uses is removed after a while.",
    tag="blobs",
    parameters=(
        Parameter(
            name="Content-Disposition",
            place="header",
            schema={"type": "string"},
            text='What the file is called: `attachment; filename="report.pdf"`.',
        ),
    ),
    body=Body(text="The bytes of the file.", content=_ANYTHING, required=False),
    answers=(
        Answer(
            status=201,
            text="Stored, and durable.",
            content={"application/json": StoredBlob},
            headers=(LOCATION,),
            links={
                "download": {
                    "operationId": "downloadBlob",
                    "parameters": {"id": "$response.body#/blobId"},
                }
            },
        ),
    ),
    refusals=(TooLarge, TooSlow, UnsupportedMedia, Unavailable),
)

DOWNLOAD: Final = Operation(
    name="downloadBlob",
    summary="Fetch a file",
    text="With `Range` a part of it: one range; several, or nonsense, mean the whole.",
    tag="blobs",
    parameters=(
        BLOB_ID,
        Parameter(
            name="Range",
            place="header",
            schema={"type": "string"},
            text="`bytes=0-1023`: the first kilobyte. `bytes=-1024`: the last one.",
        ),
        Parameter(
            name="If-Range",
            place="header",
            schema={"type": "string"},
            text="The `ETag` of the bytes you have: if they are others now, the whole comes.",
        ),
        IF_NONE_MATCH,
    ),
    answers=(
        Answer(
            status=200,
            text="The file.",
            content={"*/*": {}},
            headers=(ETAG, _DISPOSITION, _RANGES),
        ),
        Answer(
            status=206,
            text="The wanted part.",
            content={"*/*": {}},
            headers=(
                replace(ETAG),
                _DISPOSITION,
                _RANGES,
                Header(
                    name="Content-Range",
                    schema={"type": "string", "pattern": "^bytes [0-9]+-[0-9]+/[0-9]+$"},
                    text="Which part it is.",
                    always=True,
                ),
            ),
        ),
        Answer(status=304, text="You have it already.", headers=(ETAG,)),
    ),
    refusals=(UnknownBlob, BadRange, Unavailable),
)
