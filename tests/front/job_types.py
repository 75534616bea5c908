"""Job types for tests of the front service: each with one thing of its own."""

from typing import Final

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic.alias_generators import to_camel

from shared.contract.files import FileReference
from shared.contract.job_types import AfterFailure, Catalogue, JobType, Ordering
from shared.contract.jobs import Priority
from shared.contract.retries import Retries
from shared.job_types.demo import ECHO


class OrderRequest(BaseModel):
    """A request whose member orders the jobs."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)

    order_id: str | None = None
    line_count: int = Field(default=1, ge=1, le=10)


class ScanRequest(BaseModel):
    """A request that names files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    document: FileReference
    pages: tuple[FileReference, ...] = ()


class OddRequest(BaseModel):
    """A request whose own validator has a bug."""

    value: int = 0

    @field_validator("value")
    @classmethod
    def _breaks(cls, value: int) -> int:
        return 1 // value


ORDER: Final = JobType(
    name="orders.fulfil",
    request=OrderRequest,
    ordering=Ordering(member="order_id", required=True, after_failure=AfterFailure.BLOCK),
    priority=Priority.HIGH,
    retries=Retries(attempts=7),
    pool="slow",
)
SCAN: Final = JobType(name="scans.read", request=ScanRequest)
ODD: Final = JobType(name="odd.break", request=OddRequest)

CATALOGUE: Final = Catalogue([ECHO, ORDER, SCAN, ODD])
