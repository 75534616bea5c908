"""Operate: dead letters, what goes on, what could be run, and many jobs changed at once."""

from dataclasses import replace
from typing import Final

from front_service.described.jobs import LIST
from front_service.described.models import JobTypes, Stats
from front_service.described.operation import Answer, Body, Operation
from front_service.refusals import TooSlow
from shared.contract.errors import Invalid, TooLarge, Unavailable, UnsupportedMedia
from shared.contract.operating import BulkAnswer, BulkRequest

_JSON: Final = "application/json"

DEAD_LETTERS: Final = replace(
    LIST,
    name="listDeadLetters",
    summary="List jobs that failed for good, newest first",
    tag="operate",
    parameters=tuple(one for one in LIST.parameters if one.name not in ("status", "state")),
)

STATS: Final = Operation(
    name="getStats",
    summary="What waits and what runs",
    text="Counted by type, pool and ordering key, a few seconds old at the most times.",
    tag="operate",
    answers=(Answer(status=200, text="The counts.", content={_JSON: Stats}),),
    refusals=(Unavailable,),
)

JOB_TYPES: Final = Operation(
    name="listJobTypes",
    summary="The job types, their schemas, and whether they could be run now",
    text="A type is available while a worker lives that has a handler for it and what that needs.",
    tag="operate",
    answers=(Answer(status=200, text="All of them.", content={_JSON: JobTypes}),),
    refusals=(Unavailable,),
)

BULK: Final = Operation(
    name="changeJobs",
    summary="Replay, cancel or delete many jobs",
    text="All that fit a filter, or those of up to 1,000 ids; `dryRun` only counts them. It works "
    "for some seconds: unless `isComplete`, go on with `nextCursor` and the same `asOf`, which "
    "also makes a repeat harmless.",
    tag="operate",
    body=Body(text="What to do, and to which jobs.", content={_JSON: BulkRequest}),
    answers=(Answer(status=200, text="What was done.", content={_JSON: BulkAnswer}),),
    refusals=(TooLarge, TooSlow, UnsupportedMedia, Invalid, Unavailable),
)
