"""What a caller may say about a job beside the request itself: the member ``job``."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel

from shared.contract.jobs import OnConflict, Priority

_NAME_PATTERN: Final = r"^[A-Za-z0-9._:/@-]+$"
_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(9999, 1, 1, tzinfo=UTC)
_YEAR_AND_A_DAY: Final = 366 * 86_400
_NINETY_DAYS: Final = 90 * 86_400

OrderingKey = Annotated[str, StringConstraints(max_length=200, pattern=_NAME_PATTERN)]
Tag = Annotated[str, StringConstraints(max_length=100, pattern=_NAME_PATTERN)]


class CallbackEvent(StrEnum):
    """What a webhook may be sent for; without a wish, for the last four."""

    STARTED = "started"
    PROGRESS = "progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Unique(BaseModel):
    """One job at a time: what the name is, how long it is held, and what a second one meets."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True
    )

    key: Annotated[str, StringConstraints(max_length=200, pattern=_NAME_PATTERN)]
    lasts: Literal["active"] | Annotated[int, Field(strict=True, ge=1, le=_YEAR_AND_A_DAY)] = Field(
        default="active", alias="while", description="until the job ends, or so many seconds"
    )
    on_conflict: OnConflict = OnConflict.RETURN


class JobOptions(BaseModel):
    """When, in which order and how often a job runs, and what its caller is told of."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True
    )

    ordering_key: OrderingKey | None = None
    priority: Priority | None = None
    delay_seconds: float | None = Field(default=None, ge=0, le=_YEAR_AND_A_DAY)
    run_at: datetime | None = None
    start_deadline: datetime | None = None
    deadline: datetime | None = None
    max_attempts: int | None = Field(default=None, ge=1, le=100)
    result_ttl_seconds: int | None = Field(default=None, ge=1, le=_NINETY_DAYS)
    tags: tuple[Tag, ...] = Field(default=(), max_length=20)
    callback_events: tuple[CallbackEvent, ...] = Field(default=(), max_length=len(CallbackEvent))
    unique: Unique | None = None

    @field_validator("run_at", "start_deadline", "deadline")
    @classmethod
    def _is_a_real_instant(cls, moment: datetime | None) -> datetime | None:
        if moment is None:
            return None
        if moment.tzinfo is None:
            raise ValueError("must name its offset from UTC, as in 2030-01-31T12:00:00Z")
        if not _EARLIEST <= moment < _LATEST:
            raise ValueError("must lie between the years 1970 and 9999")
        return moment

    @model_validator(mode="after")
    def _times_agree(self) -> Self:
        if self.delay_seconds is not None and self.run_at is not None:
            raise ValueError("delaySeconds and runAt exclude each other")
        for end in (self.start_deadline, self.deadline):
            if end is not None and self.run_at is not None and end < self.run_at:
                raise ValueError("a deadline lies before runAt")
        return self
