"""What is asked of the service itself: health, figures, and these descriptions."""

from typing import Final

from front_service.described.common import ETAG, IF_NONE_MATCH
from front_service.described.models import Alive, Readiness
from front_service.described.operation import Answer, Operation, Parameter
from front_service.refusals import NoSuchPlace

_JSON: Final = "application/json"


def _file(media: str, schema: str = "string") -> tuple[Answer, ...]:
    return (
        Answer(status=200, text="All of it.", content={media: {"type": schema}}, headers=(ETAG,)),
        Answer(status=304, text="You have it already.", headers=(ETAG,)),
    )


LIVEZ: Final = Operation(
    name="livez",
    summary="Whether the process lives",
    text="That this answers at all is the answer.",
    tag="service",
    answers=(Answer(status=200, text="It lives.", content={_JSON: Alive}),),
)

READYZ: Final = Operation(
    name="readyz",
    summary="Whether this replica takes requests",
    text="Not while the database is away, nor while the replica is about to stop. Without the "
    "broker it does: what is accepted then runs a little later.",
    tag="service",
    answers=(
        Answer(status=200, text="It does.", content={_JSON: Readiness}),
        Answer(status=503, text="It does not.", content={_JSON: Readiness}),
    ),
)

METRICS: Final = Operation(
    name="metrics",
    summary="Figures for Prometheus",
    text="In the text format of Prometheus. They may be served on a port of their own: then there "
    "is nothing here.",
    tag="service",
    answers=(Answer(status=200, text="Figures.", content={"text/plain": {"type": "string"}}),),
    refusals=(NoSuchPlace,),
)

OPENAPI: Final = Operation(
    name="getOpenApi",
    summary="This document",
    text="OpenAPI 3.1. With the job types that this service is configured for.",
    tag="service",
    parameters=(IF_NONE_MATCH,),
    answers=_file(_JSON, "object"),
)

ASYNCAPI: Final = Operation(
    name="getAsyncApi",
    summary="The streams, described",
    text="AsyncAPI 3.0: what flows over WebSockets and server-sent events.",
    tag="service",
    parameters=(IF_NONE_MATCH,),
    answers=_file(_JSON, "object"),
)

DOCS: Final = Operation(
    name="docs",
    summary="A page to read and try this document",
    text="It needs nothing from other machines, and speaks to none.",
    tag="service",
    parameters=(IF_NONE_MATCH,),
    answers=_file("text/html"),
)

DOCS_FILE: Final = Operation(
    name="docsFile",
    summary="What the page is made of",
    text="Its scripts and styles.",
    tag="service",
    parameters=(
        Parameter(name="file", place="path", schema={"type": "string"}, text="The file's name."),
        IF_NONE_MATCH,
    ),
    answers=_file("*/*"),
)
