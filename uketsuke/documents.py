"""What the front service says, as values: judged once at the door, tolerant of what is new.

A document that lacks what the contract promises, or has it with another type, is a
``BadAnswer`` that names the member; members that are not known yet stay in ``document``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Final, TypeVar

import orjson
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from shared.contract.ids import JobId
from shared.contract.states import ENDINGS, STATUS, State
from uketsuke.errors import BadAnswer, clean

T = TypeVar("T")

_FINAL: Final = frozenset(str(STATUS[state]) for state in ENDINGS)
_CONFIG: Final = ConfigDict(alias_generator=to_camel, extra="ignore")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """The answer to a submit: the job is durable."""

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    job_id: JobId
    status: str
    status_url: str  # as the server wrote it; ``Client.address`` makes it whole
    result_url: str | None = None
    created_at: datetime | None = None
    queue_position: int | None = None
    estimated_completion: datetime | None = None
    idempotency_key: str = ""
    replayed: bool = False  # this key had been used before, for the same request
    existing: bool = False  # another job held the unique key: this is that one
    track_id: str | None = None
    document: Mapping[str, Any] = field(repr=False, hash=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """One job as the front service described it at one moment."""

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    job_id: JobId
    status: str
    type: str = ""
    state: str = ""
    sequence: int = 0  # of the last event in the job's history; 0: not told
    progress: float = 0
    message: str | None = None
    attempt: int = 0
    max_attempts: int | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    scheduled_for: datetime | None = None
    expires_at: datetime | None = None
    queue_position: int | None = None
    estimated_completion: datetime | None = None
    ordering_key: str | None = None
    priority: str | None = None
    tags: tuple[str, ...] = ()
    track_id: str | None = None
    results: Any = field(default=None, hash=False)  # only what is small enough to be told here
    result_url: str | None = None
    error: str | None = None
    replayed: bool = False  # an ending of old: the job was given a new run after it
    document: Mapping[str, Any] = field(repr=False, hash=False, compare=False)

    @property
    def has_ended(self) -> bool:
        return self.status in _FINAL and not self.replayed

    @property
    def succeeded(self) -> bool:
        return self.status == STATUS[State.COMPLETED]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadToken:
    """What lets its holder follow one job for a while. Its text is a secret until then."""

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    job_id: JobId
    token: str = field(repr=False)
    expires_at: datetime
    document: Mapping[str, Any] = field(repr=False, hash=False, compare=False)


_TOKEN: Final = TypeAdapter(ReadToken)
_STATUS: Final = TypeAdapter(Status)
_TICKET: Final = TypeAdapter(Ticket)


def parse(body: bytes | str) -> object:
    """Read JSON of a stranger."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        begin = body[:80].decode(errors="replace") if isinstance(body, bytes) else body[:80]
        raise BadAnswer(f"the answer is not JSON: {clean(begin)!r}") from error


def read_status(document: object, job_id: str | None = None) -> Status:
    """Judge a status document; with *job_id* it must be the one of that job."""
    status = judge(_STATUS, "status", document, {})
    if job_id is not None and str(status.job_id) != job_id:
        raise BadAnswer(f"asked for job {clean(job_id, 64)}, told of {status.job_id}")
    return status


def read_ticket(document: object, **said: Any) -> Ticket:
    """Judge the answer to a submit; *said* is what stands in its headers."""
    return judge(_TICKET, "ticket", document, {to_camel(k): v for k, v in said.items()})


def read_token(document: object) -> ReadToken:
    """Judge the answer to a wish for a token."""
    return judge(_TOKEN, "token", document, {})


def file_links(results: object) -> Iterator[tuple[str, str]]:
    """List the blobs that *results* link to, each with the path of the member that names it."""
    waiting: list[tuple[str, object]] = [("", results)]
    while waiting:
        place, value = waiting.pop()
        match value:
            case str() if value.startswith("/api/blobs/"):
                yield place, value
            case dict():
                inside = [(f"{place}.{name}".lstrip("."), v) for name, v in value.items()]
                waiting.extend(reversed(inside))
            case list():
                inside = [(f"{place}[{at}]", v) for at, v in enumerate(value)]
                waiting.extend(reversed(inside))


def judge(
    adapter: TypeAdapter[T],
    name: str,
    document: object,
    said: Mapping[str, Any],
    *,
    whole: bool = True,
) -> T:
    """Read *document*, with what was *said* elsewhere; *whole*: it is kept with the value."""
    if not isinstance(document, dict):
        raise BadAnswer(f"the {name} document is no JSON object")
    kept = {"document": document} if whole else {}
    try:
        return adapter.validate_python({**document, **said, **kept})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        member = ".".join(str(part) for part in first["loc"])
        raise BadAnswer(f"the {name} document's {clean(member, 100)}: {first['msg']}") from error
