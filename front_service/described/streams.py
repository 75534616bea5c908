"""The streams: how they are opened, and what flows then."""

from typing import Final

from front_service.described.common import AFTER, JOB_ID
from front_service.described.models import Batch, Frame
from front_service.described.operation import (
    Answer,
    Channel,
    Message,
    Operation,
    Parameter,
)
from front_service.push.commands import Cancel, SocketError, SocketNotice, Subscribe, Unsubscribe
from front_service.refusals import BadToken, NoUpgrade
from shared.contract.errors import Gone, OverQuota, Refusal, Unavailable, UnknownJob

_OF_A_JOB: Final = (UnknownJob, Gone, Unavailable)

_FRAME: Final = Message(
    name="frame",
    text="The job as it was after one event of its history, or with its newest progress. "
    "`sequence` numbers the events; it grows by one and has no gap.",
    payload=Frame,
)

BATCH_FRAME: Final = Message(
    name="batchFrame",
    text="How far the batch is: told while it moves, and once more at its end.",
    payload=Batch,
)

TOKEN: Final = Parameter(
    name="token",
    place="query",
    schema={"type": "string"},
    text="A read token of this job, for whoever has no API key.",
)

SOCKET: Final = Operation(
    name="watchJob",
    summary="Follow one job by WebSocket",
    text="First a snapshot, then a frame for each event; after the final frame the socket is "
    "closed with 1000. 1012: this replica stops, dial again. 4408: you were too slow, dial again "
    "with `after`. 4401: the token has expired. The subprotocol, if any, is `uketsuke.v1`; a "
    "token may stand beside it.",
    tag="streams",
    parameters=(JOB_ID, AFTER, TOKEN),
    answers=(Answer(status=101, text="It is a WebSocket from here on."),),
    refusals=(*_OF_A_JOB, Refusal, NoUpgrade, BadToken, OverQuota),
    channel=Channel(
        name="jobSocket",
        carrier="ws",
        title="One job by WebSocket",
        text="Text frames of JSON. What a client sends is not looked at; too much of it, or "
        "anything but text, ends the connection.",
        told=(_FRAME,),
    ),
)

EVENTS: Final = Operation(
    name="getEvents",
    summary="Follow one job by server-sent events",
    text="The same documents as by WebSocket, for plain `EventSource`. `id` is the sequence, on "
    "stored events only. Ends after the final event; asked again then, it answers 204, after "
    "which no `EventSource` comes back.",
    tag="streams",
    parameters=(
        JOB_ID,
        AFTER,
        TOKEN,
        Parameter(
            name="Last-Event-ID",
            place="header",
            schema={"type": "string"},
            text="As `after`, and stronger: what an `EventSource` repeats by itself.",
        ),
    ),
    answers=(
        Answer(
            status=200,
            text="The events.",
            content={"text/event-stream": {}},
        ),
        Answer(status=204, text="The ending was told already."),
    ),
    refusals=(*_OF_A_JOB, BadToken, OverQuota),
    channel=Channel(
        name="jobEvents",
        carrier="http",
        title="One job by server-sent events",
        text="Each event's `data` is one document. A comment every 15 s says that the line lives.",
        told=(_FRAME,),
    ),
)

MANY: Final = Operation(
    name="watchJobs",
    summary="Follow many jobs by one WebSocket",
    text="Say which with `subscribe`, by id, by a tag or by a batch; 100 at a time. The socket "
    "stays open until you leave, or with 1012 until this replica does.",
    tag="streams",
    parameters=(TOKEN,),
    answers=(Answer(status=101, text="It is a WebSocket from here on."),),
    refusals=(Unavailable, Refusal, NoUpgrade, BadToken, OverQuota),
    channel=Channel(
        name="manySocket",
        carrier="ws",
        title="Many jobs by one WebSocket",
        text="Text frames of JSON in both directions. What cannot be done is answered, and the "
        "socket stays open.",
        told=(
            *(_FRAME, BATCH_FRAME),
            Message(name="notice", text="A command was done.", payload=SocketNotice),
            Message(name="mistake", text="A command was not done.", payload=SocketError),
        ),
        heard=(
            Message(name="subscribe", text="Follow jobs.", payload=Subscribe),
            Message(name="unsubscribe", text="Follow them no longer.", payload=Unsubscribe),
            Message(name="cancel", text="Cancel jobs.", payload=Cancel),
        ),
    ),
)
