"""Who calls: whose data it is, what he may do, and under which name his keys are unique.

Until keys are configured there is one nameless caller, and whether a request may be taken from
it is judged by where it comes from: a browser page of somebody else's, or a host name that was
turned to point at us, gets nothing (cross-site requests, DNS rebinding). From the first key on
every caller has to show one, and the host name no longer matters.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import Final, Protocol
from urllib.parse import urlsplit
from uuid import UUID

from front_service.refusals import Forbidden, OutOfScope, Unauthenticated
from shared.contract.access import EVERYTHING, Scope, digest_of
from shared.contract.ids import THE_TENANT, TenantId
from shared.store.access import LiveKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A caller that was let in."""

    tenant: TenantId
    name: str  # Idempotency-Keys are unique within it
    scopes: frozenset[Scope] = EVERYTHING
    key: UUID | None = None  # the API key that let it in
    until: float | None = None  # of the loop's clock: when what let it in ends by itself

    def check(self, needs: Scope) -> None:
        """Raise ``OutOfScope`` unless this caller may do that."""
        if needs not in self.scopes:
            raise OutOfScope(needs)


NOBODY: Final = Principal(tenant=THE_TENANT, name="anonymous")


class FindsKeys(Protocol):
    """As ``KeyRing``."""

    @property
    def knows_of_any(self) -> bool: ...

    async def find(self, digest: bytes) -> LiveKey | None: ...

    async def is_any(self) -> bool: ...


class ReadsTokens(Protocol):
    """As ``Tokens``."""

    async def principal(self, token: str) -> Principal | None:
        """Say who shows a token that is no API key; ``None`` if nobody we know vouches for it."""


class Doorkeeper:
    """Lets callers in by what they show; nameless ones only where nobody has to show anything."""

    def __init__(
        self,
        keys: FindsKeys,
        *,
        tokens: ReadsTokens | None = None,
        required: bool = False,
        anyone: bool = False,
        allowed_origins: Collection[str] = (),
    ) -> None:
        self._keys, self._tokens, self._anyone = keys, tokens, anyone
        self._required = required or tokens is not None
        self._origins = frozenset(origin.rstrip("/").lower() for origin in allowed_origins)
        # few hosts, the same each time
        self._is_welcome = lru_cache(maxsize=1_024)(self._judge)
        self._is_page_of_ours = lru_cache(maxsize=1_024)(self._judge_page)

    def check_page(self, host: str | None, origin: str | None) -> None:
        """Judge by the headers ``Host`` and ``Origin`` alone; raise ``Forbidden``."""
        if self._required or self._keys.knows_of_any:
            if not self._is_page_of_ours(host, origin):
                raise Forbidden("Pages of this origin may not call this service.")
        else:
            self._check_nameless(host, origin)

    async def admit(
        self, host: str | None, origin: str | None, authorization: str | None
    ) -> Principal:
        """Say who calls; raise ``Unauthenticated``, ``Forbidden`` or ``Unavailable``."""
        if authorization is not None:
            return await self._shown(authorization)
        if self._required or await self._keys.is_any():
            raise Unauthenticated("Show an API key: Authorization: Bearer <key>.")
        self._check_nameless(host, origin)
        return NOBODY

    async def _shown(self, authorization: str) -> Principal:
        scheme, _, shown = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated("Only Authorization: Bearer <key> is taken.")
        digest = digest_of(shown)
        if digest is not None:
            key = await self._keys.find(digest)
            principal = None if key is None else _holder_of(key)
        else:
            principal = await self._tokens.principal(shown) if self._tokens else None
        if principal is None:
            raise Unauthenticated("This key is not known here, or has ended.", shown=True)
        return principal

    def _check_nameless(self, host: str | None, origin: str | None) -> None:
        if not self._is_welcome(host, origin):
            raise Forbidden("This service takes nameless callers from its own machine only.")

    def _judge(self, host: str | None, origin: str | None) -> bool:
        if not self._anyone and not is_local(host):
            return False
        if origin is None or origin.lower() in self._origins:
            return True
        netloc = _netloc(origin)
        if netloc is None:
            return False
        return is_local(netloc) or (self._anyone and netloc == (host or "").lower())

    def _judge_page(self, host: str | None, origin: str | None) -> bool:
        """Judge a page whose caller shows a key: it must be allowed, or of this very host."""
        if origin is None or origin.lower() in self._origins:
            return True
        netloc = _netloc(origin)
        return netloc is not None and (is_local(netloc) or netloc == (host or "").lower())


def _holder_of(key: LiveKey) -> Principal:
    """Keys of one name are one caller: a client that changes its key goes on under the new one."""
    return Principal(tenant=key.tenant, name=f"key {key.name}", scopes=key.scopes, key=key.id)


def is_local(netloc: str | None) -> bool:
    """Whether *netloc* (a name or address, perhaps with a port) can only mean this machine."""
    name = _hostname(netloc)
    if name is None:
        return False
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _hostname(netloc: str | None) -> str | None:
    try:
        parts = urlsplit(f"//{netloc or ''}")
        _ = parts.port
    except ValueError:
        return None
    return None if "@" in parts.netloc or parts.netloc != netloc else parts.hostname


def _netloc(origin: str) -> str | None:
    try:
        parts = urlsplit(origin.lower())
    except ValueError:
        return None
    return parts.netloc if parts.scheme in ("http", "https") and parts.netloc else None
