"""What several routes have in common, and what all of them may answer."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from front_service.described.operation import Header, Parameter, Schema
from front_service.refusals import (
    BadExpectation,
    Bug,
    Forbidden,
    Misdirected,
    OutOfScope,
    Unauthenticated,
)
from shared.contract import headers
from shared.contract.errors import Malformed, UketsukeError, Unavailable

VERSION: Final = "0.1.0"
PROBLEM: Final = "application/problem+json"

INTRODUCTION: Final = """\
Send a request; it is answered at once with `202` and a ticket, and what was accepted is durable.
Then follow the job: ask for its status, wait for it, or listen to its events.

* JSON in UTF-8, members in camelCase. Times are RFC 3339 in UTC. Ids are UUIDs.
* Every refusal is a problem document (RFC 9457). Decide by its `code`.
* `X-Track-ID` is on every answer and every log line of the job: send your own, or quote ours.
* After `503` nothing was promised: try again after `Retry-After`, with the same
  `Idempotency-Key`, and the job runs once.
* Streams are described in `/asyncapi.json`.
"""

TAGS: Final[Mapping[str, str]] = {
    "submit": "Hand in work. Each job type has an address of its own.",
    "batches": "Hand in up to a thousand jobs at once, and follow them together.",
    "jobs": "Follow jobs, and change their course.",
    "streams": "Be told instead of asking; what flows is described in `/asyncapi.json`.",
    "blobs": "Files: sent ahead of a request, and fetched out of a result.",
    "operate": "See what goes on, and change many jobs at once.",
    "service": "The service itself.",
}

BEARER: Final[Schema] = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key; what it may do are its scopes: submit, read, cancel, operate. "
    "Tokens of an OpenID issuer are taken as well where one is configured. "
    "Without any key, callers of the same machine need none.",
}

_UUID: Final[Schema] = {"type": "string", "format": "uuid"}
_JOB: Final = "01985e6c-3b7a-7c4e-8f21-5d0e9a6b7c11"
_BLOB: Final = "01985e6c-9d02-7b1f-a3c8-0f6b2e4d7a95"

JOB_ID: Final = Parameter(
    name="id",
    place="path",
    schema={**_UUID, "examples": [_JOB]},
    text="The job. Lower case, as it was answered; whatever else is unknown.",
)
BLOB_ID: Final = Parameter(
    name="id", place="path", schema={**_UUID, "examples": [_BLOB]}, text="The blob."
)
AFTER: Final = Parameter(
    name="after",
    place="query",
    schema={"type": "integer", "minimum": 0},
    text="The `sequence` that you saw last: only what is newer is told.",
)


def collection(names: Iterable[str]) -> Parameter:
    """Describe the first half of a job type's name."""
    return Parameter(
        name="collection",
        place="path",
        schema={"type": "string", "enum": sorted(set(names))},
        text="The first half of the job's type.",
    )


ON_ANY_REQUEST: Final = (
    Parameter(
        name=headers.TRACK_ID,
        place="header",
        schema={"type": "string"},
        text="Your own name for this request: 1 to 64 of `A-Z a-z 0-9 . _ -`. "
        "Anything else is passed over, and a new one is made.",
    ),
)

ON_ANY_ANSWER: Final = (
    Header(
        name=headers.TRACK_ID,
        schema={"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
        text="Names this request in the logs of the service.",
        always=True,
    ),
)

RETRY_AFTER: Final = Header(
    name="Retry-After",
    schema={"type": "integer", "minimum": 1},
    text="Seconds after which it is worth asking again.",
)
ETAG: Final = Header(
    name="ETag",
    schema={"type": "string"},
    text="Names this very content: send it as `If-None-Match`.",
    always=True,
)
LOCATION: Final = Header(
    name="Location", schema={"type": "string"}, text="Where it is to be found.", always=True
)
IF_NONE_MATCH: Final = Parameter(
    name="If-None-Match",
    place="header",
    schema={"type": "string"},
    text="An `ETag` that you have: 304 if nothing has changed.",
)

ANY_ROUTE_REFUSES: Final[tuple[type[UketsukeError], ...]] = (
    *(Malformed, Forbidden, BadExpectation, Misdirected, Bug),
)

ENTRANCE_REFUSES: Final[tuple[type[UketsukeError], ...]] = (
    *(Unauthenticated, OutOfScope, Unavailable),
)
"""Where callers have to be known: nobody may be let in while the keys cannot be read."""

_CHALLENGE: Final = Header(
    name="WWW-Authenticate",
    schema={"type": "string", "pattern": "^Bearer "},
    text="What has to be shown (RFC 6750).",
    always=True,
)
RATE_LIMITS: Final = (
    Header(
        name="RateLimit-Policy",
        schema={"type": "string"},
        text="The limits of your tenant, if it has any: `submits` (`q` in each `w` seconds), "
        "`queued`, `streams`. A refusal for what all together may submit names `front`.",
    ),
    Header(
        name="RateLimit",
        schema={"type": "string"},
        text="What is left of each (`r`), and in how many seconds all of it is again (`t`).",
    ),
)

OF_A_REFUSAL: Final[Mapping[int, tuple[Header, ...]]] = {
    401: (_CHALLENGE,),
    403: (replace(_CHALLENGE, always=False),),
    409: (RETRY_AFTER,),
    416: (
        Header(
            name="Content-Range",
            schema={"type": "string", "pattern": "^bytes \\*/[0-9]+$"},
            text="How many bytes there are.",
            always=True,
        ),
    ),
    429: (RETRY_AFTER, *RATE_LIMITS),
    503: (RETRY_AFTER,),
}


def form(request: Schema) -> dict[str, Any]:
    """Describe a submit that brings its files along."""
    return {
        "schema": {
            "type": "object",
            "description": "The part `request` is the JSON of the request. Every other part is a "
            "file: the member of the same name receives a reference to it.",
            "properties": {"request": request},
            "required": ["request"],
            "additionalProperties": {"type": "string", "format": "binary"},
        },
        "encoding": {"request": {"contentType": "application/json"}},
    }
