"""What an operator may wish of many jobs at once, as it stands in a request."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Self
from uuid import UUID

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic.alias_generators import to_camel

from shared.contract.states import State, Status

MOST_IDS: Final = 1_000

_Text = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f\ufffd]*$")]


def _written(moment: object) -> object:
    """A number would be taken for seconds since 1970; nobody is told that it may be."""
    if isinstance(moment, (int, float)):
        raise ValueError("must be a time as in RFC 3339")  # noqa: TRY004  pydantic wants this one
    return moment


_Instant = Annotated[AwareDatetime, BeforeValidator(_written)]
_CONFIG: Final = ConfigDict(
    frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True
)


class Action(StrEnum):
    REPLAY = "replay"
    CANCEL = "cancel"
    DELETE = "delete"


class BulkFilter(BaseModel):
    """Which jobs: as the parameters of the list; without any, all jobs of the caller's tenant."""

    model_config = _CONFIG

    status: Status | None = None
    state: State | None = None
    type: _Text | None = None
    ordering_key: _Text | None = None
    tag: _Text | None = None
    batch: UUID | None = None
    created_after: _Instant | None = None
    created_before: _Instant | None = None


class BulkRequest(BaseModel):
    """What to do, and with which jobs: either a filter or ids."""

    model_config = _CONFIG

    action: Action
    filter: BulkFilter | None = None
    ids: tuple[UUID, ...] | None = Field(default=None, min_length=1, max_length=MOST_IDS)
    dry_run: bool = Field(default=False, strict=True)
    as_of: _Instant | None = Field(
        default=None, description="only jobs as they were then: what makes a repeat harmless"
    )
    cursor: str | None = Field(default=None, max_length=50, description="where to go on")

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        if (self.filter is None) is (self.ids is None):
            raise ValueError("give either a filter or ids")
        if self.ids is not None and self.cursor is not None:
            raise ValueError("a cursor goes with a filter")
        return self


class BulkSample(BaseModel):
    """One of the jobs that were meant."""

    model_config = _CONFIG

    job_id: UUID
    type: str
    status: Status
    status_url: str


class BulkAnswer(BaseModel):
    """What was done. If it is not complete, ask again with the same *asOf* and the *nextCursor*."""

    model_config = _CONFIG

    action: Action
    dry_run: bool
    as_of: datetime
    matched: int = Field(description="jobs that fit and that the action can be done to")
    changed: int
    skipped: int = Field(description="jobs that were in no state for it, or hold or lack a key")
    unknown: int = Field(description="ids that are no jobs of the caller's")
    sample: tuple[BulkSample, ...]
    is_complete: bool
    next_cursor: str | None = None
