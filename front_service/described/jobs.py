"""Submit, status, result, cancel, replay, release and list of jobs."""

from dataclasses import replace
from typing import Final

from front_service.described.common import (
    AFTER,
    ETAG,
    IF_NONE_MATCH,
    JOB_ID,
    LOCATION,
    RATE_LIMITS,
    RETRY_AFTER,
)
from front_service.described.models import JobPage, JobStatus, ReadToken, Result, Ticket
from front_service.described.operation import Answer, Body, Header, Operation, Parameter
from front_service.refusals import TooSlow
from front_service.tokens import TokenRequest
from shared.contract import headers
from shared.contract.errors import (
    AlreadyEnded,
    Gone,
    HoldsNoKey,
    IdempotencyMismatch,
    Invalid,
    NoResult,
    NotReplayable,
    NotUnique,
    OverQuota,
    TooLarge,
    Unavailable,
    Undecided,
    UnknownJob,
    UnsupportedMedia,
)
from shared.contract.states import State, Status

_JSON: Final = "application/json"
_OF_A_JOB: Final = (UnknownJob, Gone, Unavailable)
_TEXT: Final = {"type": "string", "maxLength": 200}
_INSTANT: Final = {"type": "string", "format": "date-time"}
_ID_OF_THE_ANSWER: Final = {"parameters": {"id": "$response.body#/jobId"}}
_YES_OR_NO: Final = (*("true", "false", "True", "False", "1", "0", "yes", "no", "on", "off"),)
_APPLIED: Final = Header(
    name="Preference-Applied",
    schema={"type": "string", "pattern": "^(wait=[0-9]+|respond-async)$"},
    text="Which wish of `Prefer` was followed.",
)
REPLAYED: Final = Header(
    name=headers.IDEMPOTENT_REPLAYED,
    schema={"const": "true"},
    text="The key was used before: this is that earlier job.",
)

IDEMPOTENCY: Final = Parameter(
    name=headers.IDEMPOTENCY_KEY,
    place="header",
    schema={"type": "string", "pattern": "^[ -~]{1,255}$"},
    text="Your own name for this request. Sent again with the same body it answers the "
    "same, however often; with another body it is refused. Kept for a day at least, "
    "and as long as what it made lives.",
)

SUBMIT: Final = Operation(
    name="submit",
    summary="Submit a job",
    text="Answered once the job is durable. What the request lacks or has wrong is told at once "
    "and in full, with `422`; then nothing was kept. The body is taken for JSON also without "
    "`Content-Type`, or as `text/plain`.",
    tag="submit",
    for_each_job_type=True,
    parameters=(
        IDEMPOTENCY,
        Parameter(
            name="Prefer",
            place="header",
            schema={"type": "string"},
            text="`wait=N`: hold the answer for up to N seconds (60 at most), and answer `200` "
            "with the whole status if the job ends in time.",
        ),
        Parameter(
            name=headers.TRACEPARENT,
            place="header",
            schema={"type": "string"},
            text="The trace that this belongs to (W3C Trace Context).",
        ),
    ),
    answers=(
        Answer(
            status=202,
            text="Accepted and durable.",
            content={_JSON: Ticket},
            headers=(
                *(LOCATION, replace(RETRY_AFTER, always=True), _APPLIED, REPLAYED),
                *RATE_LIMITS,
            ),
            links={
                "status": {"operationId": "getJob", **_ID_OF_THE_ANSWER},
                "cancel": {"operationId": "deleteJob", **_ID_OF_THE_ANSWER},
                "replay": {"operationId": "replayJob", **_ID_OF_THE_ANSWER},
                "result": {"operationId": "getResult", **_ID_OF_THE_ANSWER},
                "events": {"operationId": "getEvents", **_ID_OF_THE_ANSWER},
            },
        ),
        Answer(
            status=200,
            text="Accepted, and ended within the time that `Prefer: wait` allowed.",
            content={_JSON: JobStatus},
            headers=(LOCATION, replace(_APPLIED, always=True), REPLAYED, *RATE_LIMITS),
        ),
    ),
    refusals=(
        *(Undecided, TooLarge, TooSlow, UnsupportedMedia, Invalid, IdempotencyMismatch),
        *(NotUnique, OverQuota, Unavailable),
    ),
)

JOB: Final = Operation(
    name="getJob",
    summary="Status of a job",
    text="The same as `/api/{collection}/status/{id}`. With `wait` the answer is held until "
    "there is an event past `after` (without it: past this moment), or until time is up.",
    tag="jobs",
    parameters=(
        JOB_ID,
        Parameter(
            name="wait",
            place="query",
            schema={"type": "integer", "minimum": 0},
            text="Seconds to hold the answer for; 60 at most.",
        ),
        AFTER,
        Parameter(
            name="redirect",
            place="query",
            schema={"type": "string", "enum": list(_YES_OR_NO)},
            text="`true`: once completed, lead to the result with `303`.",
        ),
        IF_NONE_MATCH,
    ),
    answers=(
        Answer(
            status=200,
            text="How the job is now.",
            content={_JSON: JobStatus},
            headers=(ETAG, RETRY_AFTER),
        ),
        Answer(status=303, text="Completed: the result is there.", headers=(LOCATION,)),
        Answer(status=304, text="Nothing has changed.", headers=(ETAG, RETRY_AFTER)),
    ),
    refusals=_OF_A_JOB,
)

STATUS: Final = replace(
    JOB, name="getStatus", text=JOB.text.replace("/api/{collection}/status", "/api/jobs")
)

RESULT: Final = Operation(
    name="getResult",
    summary="Result of a completed job",
    text="However large it is. Files in it are links to `/api/blobs/{id}`.",
    tag="jobs",
    parameters=(JOB_ID,),
    answers=(Answer(status=200, text="The result.", content={_JSON: Result}),),
    refusals=(*_OF_A_JOB, NoResult),
)

CANCEL: Final = Operation(
    name="cancelJob",
    summary="Cancel a job",
    text="One that has not begun never runs. One that runs is told to stop, and killed if it "
    "does not. Asking again changes nothing.",
    tag="jobs",
    parameters=(JOB_ID,),
    answers=(
        Answer(status=200, text="It is cancelled.", content={_JSON: JobStatus}),
        Answer(status=202, text="It is being stopped.", content={_JSON: JobStatus}),
    ),
    refusals=(*_OF_A_JOB, AlreadyEnded),
)

DELETE: Final = replace(
    CANCEL, name="deleteJob", text=f"{CANCEL.text} The same as `/api/{{collection}}/cancel/{{id}}`."
)

REPLAY: Final = Operation(
    name="replayJob",
    summary="Give a job a new run",
    text="One that failed, was cancelled or expired. It keeps its id, its key and its place "
    "in the history.",
    tag="jobs",
    parameters=(JOB_ID,),
    answers=(Answer(status=202, text="It will run again.", content={_JSON: JobStatus}),),
    refusals=(*_OF_A_JOB, NotReplayable, NotUnique),
)

RELEASE: Final = Operation(
    name="releaseKey",
    summary="Free the ordering key that a failed job holds",
    text="Of a type whose keys stop at a failure. The job stays as it is; the next one goes on.",
    tag="jobs",
    parameters=(JOB_ID,),
    answers=(Answer(status=200, text="The key is free.", content={_JSON: JobStatus}),),
    refusals=(*_OF_A_JOB, HoldsNoKey),
)

TOKENS: Final = Operation(
    name="mintToken",
    summary="Let somebody without an API key follow one job for a while",
    text="For a page in a browser, say: the token goes as `?token=` or as a subprotocol. It opens "
    "the streams of this job and nothing else, cannot be taken back, and lives for 15 minutes at "
    "the most.",
    tag="streams",
    parameters=(JOB_ID,),
    body=Body(text="How long it lives.", content={_JSON: TokenRequest}, required=False),
    answers=(Answer(status=201, text="The token.", content={_JSON: ReadToken}),),
    refusals=(*_OF_A_JOB, TooLarge, TooSlow, UnsupportedMedia, Invalid),
)

LIST: Final = Operation(
    name="listJobs",
    summary="List jobs, newest first",
    text="All filters must match. A parameter that is not listed here is refused.",
    tag="jobs",
    parameters=(
        Parameter(
            name="status",
            place="query",
            schema={"type": "string", "enum": [str(one) for one in Status]},
            text="The coarse view.",
        ),
        Parameter(
            name="state",
            place="query",
            schema={"type": "string", "enum": [str(one) for one in State]},
            text="The finer view.",
        ),
        Parameter(name="type", place="query", schema=_TEXT, text="The job type."),
        Parameter(name="orderingKey", place="query", schema=_TEXT, text="The ordering key."),
        Parameter(name="tag", place="query", schema=_TEXT, text="A tag that it has."),
        Parameter(
            name="batch",
            place="query",
            schema={"type": "string", "format": "uuid"},
            text="The batch it came in.",
        ),
        Parameter(
            name="createdAfter", place="query", schema=_INSTANT, text="Accepted later than this."
        ),
        Parameter(
            name="createdBefore", place="query", schema=_INSTANT, text="Accepted before this."
        ),
        Parameter(
            name="limit",
            place="query",
            schema={"type": "integer", "default": 50},
            text="How many at most: 1 to 200. What lies beyond is taken for the nearest.",
        ),
        Parameter(
            name="cursor",
            place="query",
            schema={"type": "string", "pattern": "^[A-Za-z0-9_-]{22}$"},
            text="The `nextCursor` of the page before.",
        ),
    ),
    answers=(Answer(status=200, text="A page.", content={_JSON: JobPage}),),
    refusals=(Unavailable,),
)
