"""What is said on ``/api/socket`` in both directions, beside the status documents themselves."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from front_service.bodies import read_object
from front_service.pointers import mistake
from shared.contract.errors import Invalid
from shared.contract.status import dump

MOST_JOBS: Final = 100
"""That one socket follows."""

MOST_BATCHES: Final = 10
"""That one socket follows, beside their jobs."""

_LARGEST: Final = 2**31 - 1

_Sequence = Annotated[int, Field(ge=0, le=_LARGEST, strict=True)]
_Id = Annotated[str, Field(max_length=100)]


class _Said(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )


class _Command(_Said):
    id: str | None = Field(default=None, max_length=64, description="repeated in the answers")


class Subscribe(_Command):
    """Follow these jobs, those that live now and bear a tag, or a batch and all of its jobs."""

    op: Literal["subscribe"]
    jobs: tuple[_Id, ...] = Field(default=(), max_length=MOST_JOBS)
    tag: str | None = Field(default=None, min_length=1, max_length=100)
    batch: _Id | None = None
    after: dict[str, _Sequence] = Field(
        default_factory=dict, description="by job: the last number that was seen"
    )

    @model_validator(mode="after")
    def _says_what(self) -> "Subscribe":
        if bool(self.jobs) + (self.tag is not None) + (self.batch is not None) != 1:
            raise ValueError("say which jobs, or one tag, or one batch")
        if self.batch is None and not self.after.keys() <= set(self.jobs):
            raise ValueError("after is about jobs that are subscribed to by name, or by a batch")
        return self


class Unsubscribe(_Command):
    """Follow these jobs no longer, or a batch with its jobs; nothing is named: nothing at all."""

    op: Literal["unsubscribe"]
    jobs: tuple[_Id, ...] = Field(default=(), max_length=MOST_JOBS)
    batch: _Id | None = None

    @model_validator(mode="after")
    def _says_what(self) -> "Unsubscribe":
        if self.jobs and self.batch is not None:
            raise ValueError("say which jobs, or one batch")
        return self


class Cancel(_Command):
    """Cancel these jobs, followed or not."""

    op: Literal["cancel"]
    jobs: tuple[_Id, ...] = Field(min_length=1, max_length=MOST_JOBS)


Command = Annotated[Subscribe | Unsubscribe | Cancel, Field(discriminator="op")]
_COMMAND: Final = TypeAdapter[Subscribe | Unsubscribe | Cancel](Command)


Event = Literal["subscribed", "unsubscribed", "cancelling", "cancelled"]


class SocketNotice(_Said):
    """The answer to a command that was done, or the part of it that was."""

    event: Event
    jobs: tuple[str, ...]
    batch: str | None = None
    id: str | None = None


class SocketError(_Said):
    """What could not be done; the socket stays open. *code* is as in problem documents."""

    event: Literal["error"] = "error"
    code: str
    error: str
    op: str | None = None
    job_id: str | None = None
    batch_id: str | None = None
    id: str | None = None


def read_command(text: str) -> Subscribe | Unsubscribe | Cancel:
    """Read what a client said; raise ``Malformed`` or ``Invalid``."""
    said = read_object(text.encode(errors="replace"))
    try:
        return _COMMAND.validate_python(said)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise Invalid([mistake(one["loc"][1:], one["msg"]) for one in found[:3]]) from None


def written(said: SocketNotice | SocketError) -> bytes:
    return dump(said.model_dump(by_alias=True, exclude_none=True))
