"""What only a server of HTTP has to refuse, beside the tree of ``shared.contract.errors``."""

from collections.abc import Iterable
from typing import Any

from shared.contract.errors import Malformed, Refusal, UketsukeError


class Misframed(Malformed):
    """Where this request ends is open to doubt, so nothing behind it is read."""


def problem_document(error: UketsukeError, track_id: str) -> dict[str, Any]:
    """Tell *error* to a stranger (RFC 9457); ``error`` repeats ``detail`` for simple clients."""
    return {
        "type": f"urn:uketsuke:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "trackId": track_id,
        "error": error.detail,
        **error.members,
    }


class BadToken(Refusal):
    code = "bad_token"
    status = 401
    title = "The token is not one of ours, or has expired"


class Forbidden(Refusal):
    code = "forbidden"
    status = 403
    title = "This caller may not do that"


class NoSuchPlace(Refusal):
    code = "not_found"
    status = 404
    title = "There is nothing at this address"


class WrongMethod(Refusal):
    """The address exists, but not for this method."""

    code = "method_not_allowed"
    status = 405
    title = "This address does not take this method"

    def __init__(self, allowed: Iterable[str]) -> None:
        super().__init__()
        self.allowed = sorted(allowed)


class TooSlow(Refusal):
    code = "too_slow"
    status = 408
    title = "The request did not arrive in time"


class BadRange(Refusal):
    """The wanted bytes lie beyond the end of *size_bytes*."""

    code = "bad_range"
    status = 416
    title = "There are no such bytes"

    def __init__(self, size_bytes: int) -> None:
        super().__init__()
        self.size_bytes = size_bytes


class BadExpectation(Refusal):
    code = "bad_expectation"
    status = 417
    title = "The expectation cannot be met"


class Misdirected(Refusal):
    code = "misdirected"
    status = 421
    title = "This request was meant for another server"


class NoUpgrade(Refusal):
    code = "upgrade_required"
    status = 426
    title = "This address speaks WebSocket"


class Bug(UketsukeError):
    """Something that nobody raised on purpose; its text tells a stranger nothing."""

    code = "internal_error"
    title = "Something went wrong on our side"
