"""Judge one request for a job and turn it into a submission.

Pure: no store, no clock, no HTTP. All mistakes are told at once, by JSON pointer; nothing of
what the caller sent is repeated but names.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from front_service.pointers import Mistake, mistake, real_steps, steps_to
from shared.contract.addresses import EgressRules, read_address
from shared.contract.errors import Invalid, Malformed
from shared.contract.files import file_references
from shared.contract.ids import BlobId, JobId, TenantId, TrackId
from shared.contract.job_types import AfterFailure, JobType
from shared.contract.jobs import Idempotency, Submission, Uniqueness
from shared.contract.options import JobOptions, Unique

_LONGEST_DETAIL: Final = 300
_MOST_MISTAKES: Final = 20
_NO_OPTIONS: Final = JobOptions()

_IDEMPOTENCY_KEY = re.compile(r"[\x20-\x7e]{1,255}")
_ORDERING_KEY = re.compile(r"[A-Za-z0-9._:/@-]{1,200}")
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What one caller asks: the body as it was sent, and what the headers said."""

    tenant: TenantId
    caller: str
    type: str
    members: dict[str, Any]
    track_id: TrackId
    traceparent: str | None = None
    idempotency_key: str | None = None
    digests: Mapping[str, str] = field(default_factory=dict)  # SHA-256 of the files sent along


def vet(
    ask: Ask, job_type: JobType, job_id: JobId, *, max_age: timedelta, egress: EgressRules
) -> Submission:
    """Make *ask* a submission of *job_type*; raise ``Malformed`` or ``Invalid``."""
    idempotency = _idempotency(ask)
    members, callback_url, options, mistakes = _take_apart(ask.members)
    raw = orjson.dumps(members)
    request = _validated(job_type.request, raw, members, (), mistakes)
    key = _ordering_key(job_type, options, request, mistakes)
    if ask.digests and request is not None:
        mistakes += _strays(ask, request)
    if request is not None:
        mistakes += _out_of_reach(raw, members, request, egress)
    if mistakes or request is None:
        raise Invalid(mistakes[:_MOST_MISTAKES])
    return Submission(
        id=job_id,
        tenant=ask.tenant,
        type=job_type.name,
        pool=job_type.pool,
        priority=options.priority or job_type.priority,
        request=raw,
        track_id=ask.track_id,
        max_attempts=options.max_attempts or job_type.retries.attempts,
        result_ttl=_seconds(options.result_ttl_seconds) or job_type.result_ttl,
        max_age=job_type.max_age or max_age,
        ordering_key=key,
        blocks=key is not None and job_type.ordering.after_failure is AfterFailure.BLOCK,
        delay=_seconds(options.delay_seconds),
        run_at=options.run_at,
        start_deadline=options.start_deadline,
        deadline=options.deadline,
        tags=options.tags,
        callback_url=callback_url,
        callback_events=tuple(dict.fromkeys(options.callback_events)),
        traceparent=_traceparent(ask.traceparent),
        blobs=_blobs(raw, request),
        idempotency=idempotency,
        unique=_uniqueness(options.unique),
    )


def check_idempotency_key(text: str | None) -> None:
    """Raise ``Malformed`` for one that can be none."""
    if text is not None and not _IDEMPOTENCY_KEY.fullmatch(text):
        raise Malformed("Idempotency-Key must be 1 to 255 printable ASCII characters.")


def told(error: ValidationError, value: object, above: tuple[object, ...] = ()) -> list[Mistake]:
    """Put pydantic's findings about *value* into our words; *above* leads to it."""
    return [
        mistake((*above, *real_steps(found["loc"], value)), _detail(found))
        for found in error.errors(include_url=False, include_input=False)[:_MOST_MISTAKES]
    ]


def _take_apart(
    body: dict[str, Any],
) -> tuple[dict[str, Any], str | None, JobOptions, list[Mistake]]:
    """Part the request's own members from the two that are ours."""
    mistakes: list[Mistake] = []
    if "job" not in body and "callbackUrl" not in body:
        return body, None, _NO_OPTIONS, mistakes
    members = dict(body)
    callback_url = members.pop("callbackUrl", None)
    if callback_url is not None and (detail := _fault_of_url(callback_url)) is not None:
        mistakes.append(mistake(("callbackUrl",), detail))
    wishes = members.pop("job", None)
    if wishes is None:
        return members, callback_url, _NO_OPTIONS, mistakes
    options = _validated(JobOptions, orjson.dumps(wishes), wishes, ("job",), mistakes)
    return members, callback_url, options or _NO_OPTIONS, mistakes


def _validated(
    model: type[M],
    raw: bytes,
    value: object,
    above: tuple[object, ...],
    mistakes: list[Mistake],
) -> M | None:
    """Judge *raw*, the JSON of *value*, by the very types that the model's schema names."""
    try:
        return model.model_validate_json(raw, strict=True)
    except ValidationError as error:
        mistakes.extend(told(error, value, above))
    except RecursionError:
        mistakes.append(mistake(above, "is nested too deep"))
    return None


def _detail(found: Mapping[str, Any]) -> str:
    if found["type"] == "union_tag_invalid":  # pydantic's text repeats what was sent
        return f"must be one of {found['ctx']['expected_tags']}"
    text = str(found["msg"]).removeprefix("Value error, ")
    return text[:_LONGEST_DETAIL]


def _fault_of_url(value: object) -> str | None:
    if not isinstance(value, str):
        return "must be a string"
    try:
        read_address(value)
    except ValueError as error:
        return str(error)
    return None if _is_plain(value) else "must be an http or https address"


def _is_plain(text: str) -> bool:
    return text.isprintable() and not any(c in ' "<>\\^`{|}' for c in text)


def _ordering_key(
    job_type: JobType, options: JobOptions, request: BaseModel | None, mistakes: list[Mistake]
) -> str | None:
    """Find whose turn it is: what the caller says, else the member that the type names."""
    rule = job_type.ordering
    if options.ordering_key is not None or request is None:
        return options.ordering_key
    value = None if rule.member is None else getattr(request, rule.member)
    if value is not None and value != "":
        return _as_key(str(value))
    if rule.required:
        steps = ("job", "orderingKey") if rule.member is None else (_alias(request, rule.member),)
        mistakes.append(mistake(steps, "is required: it orders the jobs of this type"))
    return None


def _as_key(text: str) -> str:
    """Use *text* as it is if it can be a key; free text becomes its hash."""
    if _ORDERING_KEY.fullmatch(text):
        return text
    normal = unicodedata.normalize("NFC", text)
    return "sha256:" + sha256(normal.encode()).hexdigest()


def _alias(request: BaseModel, member: str) -> str:
    return type(request).model_fields[member].alias or member


def _blobs(raw: bytes, request: BaseModel) -> tuple[BlobId, ...]:
    if b'"blob:' not in raw:  # spares nearly every request the walk
        return ()
    found = (reference.blob_id for reference in file_references(request))
    return tuple(dict.fromkeys(blob_id for blob_id in found if blob_id is not None))


def _out_of_reach(
    raw: bytes, members: dict[str, Any], request: BaseModel, egress: EgressRules
) -> list[Mistake]:
    """Find files at addresses that would be refused whenever they are fetched."""
    if b'"http' not in raw:
        return []
    addresses = [one for one in file_references(request) if one.blob_id is None]
    return [
        mistake(steps_to(address, members), fault)
        for address in dict.fromkeys(addresses)
        if (fault := egress.fault(read_address(address))) is not None
    ]


def _strays(ask: Ask, request: BaseModel) -> list[Mistake]:
    """Find files that came along for a member that takes none: nobody would ever read them."""
    taken = {str(reference) for reference in file_references(request)}
    return [
        mistake((name,), "takes no file")
        for name in ask.digests
        if not taken.issuperset(_listed(ask.members[name]))
    ]


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def _idempotency(ask: Ask) -> Idempotency | None:
    if ask.idempotency_key is None:
        return None
    check_idempotency_key(ask.idempotency_key)
    return Idempotency(caller=ask.caller, key=ask.idempotency_key, fingerprint=_fingerprint(ask))


def _fingerprint(ask: Ask) -> bytes:
    """Tell the same request from another: tenant, route, members in any order, files by content."""
    body = ask.members | {name: f"sha256:{digest}" for name, digest in ask.digests.items()}
    canonical = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    return sha256(ask.tenant.bytes + ask.type.encode() + b"\n" + canonical).digest()


def _uniqueness(wish: Unique | None) -> Uniqueness | None:
    if wish is None:
        return None
    lasts = None if wish.lasts == "active" else _seconds(wish.lasts)
    return Uniqueness(key=wish.key, lasts=lasts, on_conflict=wish.on_conflict)


def _traceparent(text: str | None) -> str | None:
    return text if text is not None and _TRACEPARENT.fullmatch(text) else None


def _seconds(number: float | None) -> timedelta | None:
    return None if number is None else timedelta(seconds=number)
