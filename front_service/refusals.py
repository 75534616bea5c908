"""What only a server of HTTP has to refuse, beside the tree of ``shared.contract.errors``."""

from collections.abc import Iterable, Mapping
from math import ceil
from typing import Any

from front_service.allowance import Policy, Standing
from shared.contract.access import Scope
from shared.contract.errors import Malformed, OverQuota, Refusal, UketsukeError


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


class Unauthenticated(Refusal):
    """The caller shows nothing, or nothing that counts (*shown*)."""

    code = "unauthenticated"
    status = 401
    title = "This service has to know who calls"

    def __init__(self, detail: str = "", *, shown: bool = False) -> None:
        super().__init__(detail)
        self.challenge = 'Bearer realm="uketsuke"'
        if shown:
            self.challenge += ', error="invalid_token"'


class BadToken(Unauthenticated):
    """A read token does not count."""

    code = "bad_token"
    title = "The token is not one of ours, or has expired"

    def __init__(self) -> None:
        super().__init__(shown=True)


class Forbidden(Refusal):
    code = "forbidden"
    status = 403
    title = "This caller may not do that"


class OutOfScope(Forbidden):
    """The caller is known, and may not do this (RFC 6750, section 3.1)."""

    code = "out_of_scope"

    def __init__(self, needs: Scope) -> None:
        super().__init__(f"This takes the scope {needs}.")
        self._needs = needs
        self.challenge = f'Bearer realm="uketsuke", error="insufficient_scope", scope="{needs}"'

    @property
    def members(self) -> Mapping[str, object]:
        return {"scope": self._needs}


class QuotaReached(OverQuota):
    """Nobody gets more of what *policy* counts now; *standing* is told in headers."""

    def __init__(self, policy: Policy, detail: str, standing: Standing) -> None:
        super().__init__(detail, retry_after=max(1, ceil(standing.wait)))
        self.standing = standing
        self._policy = policy

    @property
    def members(self) -> Mapping[str, object]:
        return {"policy": self._policy}


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
