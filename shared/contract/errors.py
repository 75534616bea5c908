"""Everything that is raised on purpose, as one small tree.

UketsukeError
├── Refusal                      the caller's doing: 4xx
│   ├── Malformed                400
│   ├── UnknownType              404
│   ├── UnknownJob               404
│   ├── UnknownBlob              404
│   ├── UnknownBatch             404
│   ├── NoResult                 409
│   ├── NotUnique                409
│   ├── WrongState               409
│   │   ├── AlreadyEnded         409
│   │   ├── HoldsNoKey           409
│   │   └── NotReplayable        409
│   ├── Undecided                409
│   ├── Gone                     410
│   ├── TooLarge                 413
│   ├── UnsupportedMedia         415
│   ├── Invalid                  422
│   ├── IdempotencyMismatch      422
│   ├── BatchRefused             422
│   └── OverQuota                429
└── Unavailable                  503, try again: nothing was promised, and hardly ever kept
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar


class UketsukeError(Exception):
    """The root: each knows its code and its HTTP status; its text is fit to show a stranger."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Something went wrong"

    def __init__(self, detail: str = "", *, retry_after: int | None = None) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.retry_after = retry_after

    @property
    def members(self) -> Mapping[str, object]:
        """What a problem document says beyond the standard members."""
        return {}


class Refusal(UketsukeError):
    code = "refused"
    status = 400


class Malformed(Refusal):
    code = "malformed"
    title = "The request cannot be read"


class UnknownType(Refusal):
    code = "unknown_job_type"
    status = 404
    title = "There is no such job type"


class UnknownJob(Refusal):
    code = "unknown_job"
    status = 404
    title = "There is no such job"


class UnknownBlob(Refusal):
    code = "unknown_blob"
    status = 404
    title = "There is no such blob"


class UnknownBatch(Refusal):
    code = "unknown_batch"
    status = 404
    title = "There is no such batch"


class NoResult(Refusal):
    code = "no_result"
    status = 409
    title = "There is no result"


class WrongState(Refusal):
    """The job is in no state for this; *document* is its status, for the answer."""

    code = "wrong_state"
    status = 409
    title = "The job is in no state for this"

    def __init__(self, detail: str, document: Mapping[str, object]) -> None:
        super().__init__(detail)
        self._document = document

    @property
    def members(self) -> Mapping[str, object]:
        return {"job": self._document}


class AlreadyEnded(WrongState):
    code = "already_ended"
    title = "The job has already ended"


class NotReplayable(WrongState):
    code = "not_replayable"
    title = "The job cannot be replayed"


class HoldsNoKey(WrongState):
    code = "holds_no_key"
    title = "The job holds no ordering key"


class NotUnique(Refusal):
    """Another job holds the unique key: *job_id* names it, and *links* say where it is."""

    code = "not_unique"
    status = 409
    title = "Another job holds this unique key"

    def __init__(self, detail: str, *, job_id: str, links: Mapping[str, str]) -> None:
        super().__init__(detail)
        self._job_id, self._links = job_id, links

    @property
    def members(self) -> Mapping[str, object]:
        return {"jobId": self._job_id, "statusUrl": self._links["self"], "_links": self._links}


class Undecided(Refusal):
    code = "idempotency_undecided"
    status = 409
    title = "Another request with this Idempotency-Key is still being decided"


class Gone(Refusal):
    code = "gone"
    status = 410
    title = "The job has been cleaned up"


class TooLarge(Refusal):
    code = "too_large"
    status = 413
    title = "The request is too large"


class UnsupportedMedia(Refusal):
    code = "unsupported_media_type"
    status = 415
    title = "The request's media type is not supported"


class Invalid(Refusal):
    """The request was understood, but some of its members are not as they must be."""

    code = "invalid"
    status = 422
    title = "The request is not valid"

    def __init__(self, errors: Sequence[Mapping[str, str]]) -> None:
        told = (": ".join(filter(None, (e["pointer"], e["detail"]))) for e in errors[:3])
        super().__init__("; ".join(told))
        self._errors = errors

    @property
    def members(self) -> Mapping[str, object]:
        return {"errors": list(self._errors)}


class IdempotencyMismatch(Refusal):
    """The Idempotency-Key was used before, with another request."""

    code = "idempotency_mismatch"
    status = 422
    title = "The Idempotency-Key was used before, with another request"


class BatchRefused(Refusal):
    """Nothing of the batch was kept; *jobs* says, place by place, what was wrong."""

    code = "batch_refused"
    status = 422
    title = "Nothing of the batch was accepted"

    def __init__(self, detail: str, *, jobs: Sequence[Mapping[str, object]]) -> None:
        super().__init__(detail)
        self._jobs = jobs

    @property
    def members(self) -> Mapping[str, object]:
        return {"jobs": self._jobs}


class OverQuota(Refusal):
    code = "over_quota"
    status = 429
    title = "Too much at once"


class Unavailable(UketsukeError):
    code = "unavailable"
    status = 503
    title = "The service cannot keep a promise right now"
