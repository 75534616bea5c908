"""Batches: many submissions handed in at once, and how far they are."""

from dataclasses import replace
from typing import Final

from front_service.described.common import AFTER, LOCATION, RATE_LIMITS, RETRY_AFTER
from front_service.described.jobs import IDEMPOTENCY, REPLAYED
from front_service.described.models import Batch, BatchTicket
from front_service.described.operation import (
    Answer,
    Body,
    Channel,
    Operation,
    Parameter,
)
from front_service.described.streams import BATCH_FRAME, TOKEN
from front_service.described.streams import EVENTS as OF_A_JOB
from front_service.refusals import BadToken, NoUpgrade, TooSlow
from shared.contract.batches import BatchRequest
from shared.contract.errors import (
    BatchRefused,
    Gone,
    IdempotencyMismatch,
    Invalid,
    OverQuota,
    Refusal,
    TooLarge,
    Unavailable,
    Undecided,
    UnknownBatch,
    UnsupportedMedia,
)

_JSON: Final = "application/json"
_OF_A_BATCH: Final = (UnknownBatch, Gone, Unavailable)

_ID: Final = Parameter(
    name="id",
    place="path",
    schema={"type": "string", "format": "uuid"},
    text="The batch. Lower case, as it was answered; whatever else is unknown.",
)

SUBMIT: Final = Operation(
    name="submitBatch",
    summary="Submit up to 1,000 jobs",
    text="Each submission is judged by itself and answered in its place, with a ticket or a "
    "problem; `atomic`: all of them become jobs, or none. What has a ticket is durable.",
    tag="batches",
    parameters=(
        IDEMPOTENCY,
        Parameter(
            name="atomic",
            place="query",
            schema={"type": "string", "enum": ["true", "false"]},
            text="For a body of lines, which has no place of its own for it.",
        ),
    ),
    body=Body(
        text="One document, or one submission a line.",
        content={
            _JSON: BatchRequest,
            "application/x-ndjson": {"type": "string", "description": "one submission a line"},
        },
    ),
    answers=(
        Answer(
            status=202,
            text="Accepted and durable, as far as there are tickets.",
            content={_JSON: BatchTicket},
            headers=(LOCATION, replace(RETRY_AFTER, always=True), REPLAYED, *RATE_LIMITS),
            links={
                "batch": {
                    "operationId": "getBatch",
                    "parameters": {"id": "$response.body#/batchId"},
                }
            },
        ),
    ),
    refusals=(
        *(Undecided, TooLarge, TooSlow, UnsupportedMedia, Invalid, IdempotencyMismatch),
        *(BatchRefused, OverQuota, Unavailable),
    ),
)

STATUS: Final = Operation(
    name="getBatch",
    summary="Status of a batch",
    text="How many of its jobs are where. Kept for 7 days after its end.",
    tag="batches",
    parameters=(_ID,),
    answers=(
        Answer(status=200, text="How far it is.", content={_JSON: Batch}, headers=(RETRY_AFTER,)),
    ),
    refusals=_OF_A_BATCH,
)

SOCKET: Final = Operation(
    name="watchBatch",
    summary="Follow one batch by WebSocket",
    text="As the socket of one job: a snapshot first, the last frame is `batch.completed`.",
    tag="streams",
    parameters=(_ID, AFTER, TOKEN),
    answers=(Answer(status=101, text="It is a WebSocket from here on."),),
    refusals=(*_OF_A_BATCH, Refusal, NoUpgrade, BadToken, OverQuota),
    channel=Channel(
        name="batchSocket",
        carrier="ws",
        title="One batch by WebSocket",
        text="Text frames of JSON. What a client sends is not looked at; too much of it, or "
        "anything but text, ends the connection.",
        told=(BATCH_FRAME,),
    ),
)

EVENTS: Final = replace(
    OF_A_JOB,
    name="getBatchEvents",
    summary="Follow one batch by server-sent events",
    parameters=(_ID, *OF_A_JOB.parameters[1:]),
    refusals=(*_OF_A_BATCH, BadToken, OverQuota),
    channel=Channel(
        name="batchEvents",
        carrier="http",
        title="One batch by server-sent events",
        text="Each event's `data` is one document. A comment every 15 s says that the line lives.",
        told=(BATCH_FRAME,),
    ),
)
