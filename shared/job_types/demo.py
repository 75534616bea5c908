"""Two small job types: for a first try, for benchmarks, and for tests."""

from datetime import timedelta
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from shared.contract.job_types import JobType


class EchoRequest(BaseModel):
    """Anything; it comes back as it is."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={"examples": [{"payload": {"hello": "world"}}]},
    )

    payload: Any = None


class SleepRequest(BaseModel):
    """Wait for a while, in steps."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={"examples": [{"seconds": 2, "steps": 4}]},
    )

    seconds: float = Field(default=1.0, ge=0, le=3_600)
    steps: int = Field(default=4, ge=1, le=1_000)


class SleepResult(BaseModel):
    slept: float
    steps: int


ECHO: Final = JobType(
    name="demo.echo",
    request=EchoRequest,
    description="Answers what it was given.",
    timeout=timedelta(seconds=30),
)
SLEEP: Final = JobType(
    name="demo.sleep",
    request=SleepRequest,
    result=SleepResult,
    description="Waits, and tells how far it is.",
    timeout=timedelta(seconds=3_700),
)
