"""The knock: the message that says which jobs may run. Identity only, versioned."""

from typing import Annotated, Final, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.contract.ids import JobId

MOST_JOBS: Final = 32
"""How many jobs one knock may name."""

_VERSION: Final = 1


class UnreadableKnock(Exception):
    """The body is no knock, or one of a version this process does not know."""


class NewerKnock(UnreadableKnock):
    """A knock of a later version than ours, whatever else it says.

    It is no mistake, so it is let go, and its jobs are left to the rescuer: their rows say that
    they were knocked for, and what nobody answers is knocked for again after a few seconds, by
    whoever looks and in a version that he knows. To offer its jobs to others at once could only
    spin between workers that understand no more of it than we do.
    """


class Knock(BaseModel):
    """These jobs may run. The rows are the truth; this is only the knock on the door."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer front may say more

    version: Literal[1] = _VERSION
    job_ids: tuple[JobId, ...] = Field(min_length=1, max_length=MOST_JOBS)
    keyed: bool = False  # some of them may have an ordering key: a hint, never trusted


class _Newer(BaseModel):
    """Whatever comes after us keeps this member, and nothing else that we could rely on."""

    version: Annotated[int, Field(gt=_VERSION, strict=True)]


def encode_knock(job_ids: list[JobId], *, keyed: bool) -> bytes:
    ids = [str(job_id) for job_id in job_ids]
    return orjson.dumps({"version": _VERSION, "job_ids": ids, "keyed": keyed})


def decode_knock(body: bytes) -> Knock:
    """Read a knock; raise ``NewerKnock``, or ``UnreadableKnock`` for anything that is none."""
    try:
        return Knock.model_validate_json(body)
    except ValidationError as error:
        if _is_newer(body):
            raise NewerKnock("a knock of a version that is not known here") from error
        raise UnreadableKnock(str(error.errors(include_url=False, include_input=False))) from error


def _is_newer(body: bytes) -> bool:
    try:
        _Newer.model_validate_json(body)
    except ValidationError:
        return False
    return True
