"""The knock: the message that says which jobs may run. Identity only, versioned."""

from typing import Final

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.contract.ids import JobId

MOST_JOBS: Final = 32
"""How many jobs one knock may name."""

_VERSION: Final = 1


class UnreadableKnock(Exception):
    """The body is no knock, or one of a version this process does not know."""


class Knock(BaseModel):
    """These jobs may run. The rows are the truth; this is only the knock on the door."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer front may say more

    version: int = Field(default=_VERSION, ge=1)
    job_ids: tuple[JobId, ...] = Field(min_length=1, max_length=MOST_JOBS)
    keyed: bool = False  # some of them may have an ordering key: a hint, never trusted


def encode_knock(job_ids: list[JobId], *, keyed: bool) -> bytes:
    ids = [str(job_id) for job_id in job_ids]
    return orjson.dumps({"version": _VERSION, "job_ids": ids, "keyed": keyed})


def decode_knock(body: bytes) -> Knock:
    """Read a knock; raise ``UnreadableKnock`` for anything that is none."""
    try:
        return Knock.model_validate_json(body)
    except ValidationError as error:
        raise UnreadableKnock(str(error.errors(include_url=False, include_input=False))) from error
