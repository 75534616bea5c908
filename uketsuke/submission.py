"""Turn the arguments of a submit into one call. Pure: nothing is sent, nothing is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import orjson
from pydantic import BaseModel

from shared.contract.errors import Invalid, UnknownType
from shared.contract.headers import IDEMPOTENCY_KEY
from shared.contract.job_types import RESERVED, JobType
from shared.contract.jobs import OnConflict, Priority
from uketsuke.errors import clean
from uketsuke.uploads import Upload, are_repeatable, form
from uketsuke.wire import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a caller says of a job beside the request itself."""

    ordering_key: str | None = None
    priority: Priority | str | None = None
    delay: timedelta | None = None
    run_at: datetime | None = None
    start_deadline: datetime | None = None
    deadline: datetime | None = None
    max_attempts: int | None = None
    result_ttl: timedelta | None = None
    tags: Sequence[str] = ()
    callback_url: str | None = None
    callback_events: Sequence[str] = ()
    files: Sequence[tuple[str, Upload]] = ()
    unique_key: str | None = None
    unique_for: timedelta | None = None
    on_conflict: OnConflict | str | None = None

    def members(self) -> dict[str, object]:
        """Build the members of a submit that are the service's own."""
        job = {
            "orderingKey": self.ordering_key,
            "priority": self.priority,
            "delaySeconds": None if self.delay is None else self.delay.total_seconds(),
            "runAt": moment(self.run_at),
            "startDeadline": moment(self.start_deadline),
            "deadline": moment(self.deadline),
            "maxAttempts": self.max_attempts,
            "resultTtlSeconds": self.result_ttl and round(self.result_ttl.total_seconds()),
            "tags": list(self.tags) or None,
            "callbackEvents": list(self.callback_events) or None,
            "unique": self._unique(),
        }
        said = {name: value for name, value in job.items() if value is not None}
        ours = {"callbackUrl": self.callback_url, "job": said or None}
        return {name: value for name, value in ours.items() if value is not None}

    def _unique(self) -> dict[str, object] | None:
        if self.unique_key is None:
            if self.unique_for is not None or self.on_conflict is not None:
                raise ValueError("unique_for and on_conflict go with a unique_key")
            return None
        lasts = None if self.unique_for is None else round(self.unique_for.total_seconds())
        wish = {"key": self.unique_key, "while": lasts, "onConflict": self.on_conflict}
        return {name: value for name, value in wish.items() if value is not None}


def request_members(request: Mapping[str, Any] | BaseModel) -> Mapping[str, Any]:
    """Write the request's own members; raise ``Invalid`` for those that are the service's."""
    if isinstance(request, BaseModel):
        request = request.model_dump(mode="json", by_alias=True)
    if taken := sorted(RESERVED & request.keys()):
        raise Invalid([{"pointer": f"/{name}", "detail": "is reserved"} for name in taken])
    return request


def submission(
    job_type: str | JobType,
    request: Mapping[str, Any] | BaseModel,
    wishes: Wishes,
    *,
    key: str,
    upload_at_most: timedelta,
) -> Call:
    """Build the call; with *key* as its ``Idempotency-Key`` it may be repeated."""
    path, body, files = _path(job_type), _body(request, wishes), wishes.files
    headers = {IDEMPOTENCY_KEY: key}
    if files:
        return Call(
            method="POST",
            path=path,
            headers=headers,
            body=lambda: form(body, files),
            repeatable=are_repeatable(files),
            missing=UnknownType,
            at_most=upload_at_most,
        )
    headers["Content-Type"] = "application/json"
    return Call(method="POST", path=path, headers=headers, body=lambda: body, missing=UnknownType)


def moment(given: datetime | None) -> str | None:
    """Write an instant as the wire has it; raise ``ValueError`` for one without a zone."""
    if given is None:
        return None
    if given.tzinfo is None:
        raise ValueError("a moment must name its offset from UTC: give an aware datetime")
    return given.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _path(job_type: str | JobType) -> str:
    name = job_type.name if isinstance(job_type, JobType) else job_type
    collection, _, action = name.partition(".")
    if not collection or not action or "." in action:
        raise UnknownType(f"{clean(name, 100)!r}: a job type is written collection.action")
    return f"/api/{quote(collection, safe='')}/{quote(action, safe='')}"


def _body(request: Mapping[str, Any] | BaseModel, wishes: Wishes) -> bytes:
    members = request_members(request)
    try:
        return orjson.dumps({**members, **wishes.members()})
    except orjson.JSONEncodeError as error:
        raise Invalid([{"pointer": "", "detail": f"is no JSON: {error}"}]) from error
