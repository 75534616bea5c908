"""What a caller of the front service may meet, as one small tree.

UketsukeError                  the root, of the contract
├── Refusal, Unavailable, …    what the server said, by the code of its problem document
├── OtherProblem               a problem with a code that this client does not know
├── BadAnswer                  what answered is not the front service, or is broken
├── Unreachable                nobody answered; also a ConnectionError
└── DeadlinePassed             the time that the caller gave is over; also a TimeoutError

Text of a server is cleaned before it is raised: no control characters, and not much of it.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from shared.contract import errors as contract
from shared.contract.errors import (
    BatchRefused,
    Gone,
    Invalid,
    Malformed,
    NotUnique,
    OverQuota,
    Refusal,
    TooLarge,
    UketsukeError,
    Unavailable,
    UnknownJob,
    UnsupportedMedia,
    WrongState,
)

_LONGEST: Final = 500
_BY_STATUS: Final[Mapping[int, type[UketsukeError]]] = {
    400: Malformed,
    404: UnknownJob,
    410: Gone,
    413: TooLarge,
    415: UnsupportedMedia,
    429: OverQuota,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


class OtherProblem(Refusal):
    """The server refused with a code that this client does not know; ``problem`` is all it said."""

    code = "other_problem"

    def __init__(self, detail: str, problem: Mapping[str, Any]) -> None:
        super().__init__(detail)
        self.problem = problem


class BadAnswer(UketsukeError):
    """What answered does not keep the contract; trying again would not help."""

    code = "bad_answer"
    title = "The answer is not one of the front service"


class Unreachable(UketsukeError, ConnectionError):
    """Nobody answered, or not to the end."""

    code = "unreachable"
    status = 503
    title = "The front service cannot be reached"


class DeadlinePassed(UketsukeError, TimeoutError):
    """The time that the caller gave is over; the job goes on."""

    code = "deadline_passed"
    status = 504
    title = "The deadline has passed"


def clean(text: object, longest: int = _LONGEST) -> str:
    """Make text of a stranger fit for a terminal or a log line."""
    shown = "".join(c if c.isprintable() else " " for c in str(text)[: longest + 1])
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def from_answer(
    status: int,
    document: object,
    *,
    retry_after: int | None = None,
    missing: type[UketsukeError] = UnknownJob,
) -> UketsukeError:
    """Turn a refusal into the error that its ``code`` names.

    *document* is what was parsed, ``None`` if that was impossible: then the HTTP status alone
    decides. *missing* is what a 404 without a problem document means at this address.
    """
    problem = document if isinstance(document, Mapping) else {}
    error = _build(status, problem, retry_after, missing)
    if isinstance(track_id := problem.get("trackId"), str):
        error.add_note(f"TrackID {clean(track_id, 64)}")
    return error


def _build(
    status: int,
    problem: Mapping[str, Any],
    retry_after: int | None,
    missing: type[UketsukeError],
) -> UketsukeError:
    code = problem.get("code")
    said = problem.get("detail") or problem.get("error") or problem.get("title") or ""
    detail = clean(said) if isinstance(said, str) else ""
    kind = _known().get(code) if isinstance(code, str) else None
    if kind is None and not isinstance(code, str):
        kind = missing if status == missing.status else _BY_STATUS.get(status)
    if kind is Invalid:
        return Invalid(_faults(problem, detail))
    if kind is not None and issubclass(kind, WrongState):
        job = problem.get("job")
        return kind(detail, job if isinstance(job, Mapping) else {})
    if kind is NotUnique:
        holder, places = problem.get("jobId"), problem.get("_links")
        links = places if isinstance(places, Mapping) else {}
        where = {"self": clean(links.get("self", problem.get("statusUrl", "")))}
        return NotUnique(detail, job_id=clean(holder, 64), links=where)
    if kind is BatchRefused:
        jobs = problem.get("jobs")
        found = [one for one in jobs if isinstance(one, Mapping)] if isinstance(jobs, list) else []
        return BatchRefused(detail, jobs=found)
    if kind is None:
        named = f"{clean(code, 100)}, " if isinstance(code, str) else ""
        text = detail or "the server refused"
        return OtherProblem(f"{text} ({named}HTTP {status})", problem)
    return kind(detail, retry_after=retry_after)


def _faults(problem: Mapping[str, Any], detail: str) -> list[dict[str, str]]:
    errors = problem.get("errors")
    found = [e for e in errors if isinstance(e, Mapping)] if isinstance(errors, list) else []
    faults = [
        {"pointer": clean(e.get("pointer", ""), 200), "detail": clean(e.get("detail", ""))}
        for e in found[:100]
    ]
    return faults or [{"pointer": "", "detail": detail or Invalid.title}]


def _known() -> Mapping[str, type[UketsukeError]]:
    kinds = (kind for kind in _descendants(UketsukeError) if kind.__module__ == contract.__name__)
    return {kind.code: kind for kind in kinds}


def _descendants(kind: type[UketsukeError]) -> Iterator[type[UketsukeError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _descendants(child)
