"""Tokens of an OpenID issuer (JWT): who they say calls, if everything about them is as it must be.

Needs the extra ``oidc``. What is refused is refused without a reason for the stranger; the log has
it.
"""

import asyncio
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Protocol

import structlog
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from front_service.identity import Principal
from shared.contract.access import Scope, tenant_id

log: Final = structlog.get_logger()

ALGORITHMS: Final = frozenset(
    ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519")
)
"""What may be configured: signatures by a key that stays with the issuer. Never ``none``, never a
secret that both sides have."""

_KINDS: Final = frozenset(("RSA", "EC", "OKP"))
_TYPES: Final = frozenset(("jwt", "at+jwt", "application/at+jwt"))
_LONGEST: Final = 8_192
_LONGEST_SUBJECT: Final = 255
_LEEWAY: Final = 5  # seconds that clocks may differ
_BELIEVED: Final = 60.0  # seconds that a judgement is kept
_MOST_KEPT: Final = 10_000


class HasKeys(Protocol):
    """As ``Issuer``."""

    version: int

    async def keys(self) -> dict[str, Any]: ...

    async def look(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRules:
    """What a token must say, and how what it says is read."""

    issuer: str
    audience: str
    algorithms: Collection[str]
    tenant_claim: str
    tenant: str | None = None  # of all tokens, instead of a claim
    scope_claim: str = "scope"
    scope_prefix: str = ""


class Refused(Exception):
    """The token does not count; the text is for the log."""


class Tokens:
    """Judges tokens. *now* is the time of day in seconds since 1970, which tokens speak of."""

    def __init__(
        self, issuer: HasKeys, rules: TokenRules, *, now: Callable[[], float] = time.time
    ) -> None:
        self._issuer, self._rules, self._now = issuer, rules, now
        self._judged: dict[bytes, tuple[float, Principal]] = {}
        self._keys, self._version = KeySet([]), -1
        self._claims = jwt.JWTClaimsRegistry(
            now=lambda: int(now()),
            leeway=_LEEWAY,
            iss={"essential": True, "value": rules.issuer},
            aud={"essential": True, "value": rules.audience},
            exp={"essential": True},
            sub={"essential": True},
        )

    async def principal(self, token: str) -> Principal | None:
        """Say who shows *token*; ``None`` if it does not count.

        Raises ``Unavailable`` while the issuer's keys are not to be had.
        """
        if len(token) > _LONGEST or not token.isascii() or token.count(".") != 2:  # noqa: PLR2004
            return None
        digest, now = sha256(token.encode()).digest(), self._now()
        known = self._judged.get(digest)
        if known is not None and now < known[0] and self._version == self._issuer.version:
            return known[1]
        try:
            principal, until = await self._judge(token)
        except (Refused, JoseError, ValueError, TypeError) as error:
            log.info("token refused", why=f"{type(error).__name__}: {error}"[:200])
            return None
        self._keep(digest, min(now + _BELIEVED, until), principal)
        return principal

    async def _judge(self, token: str) -> tuple[Principal, float]:
        await self._refresh()
        try:
            found = self._decoded(token)
        except InvalidKeyIdError:  # perhaps a key that is newer than our last look
            await self._issuer.look()
            await self._refresh()
            found = self._decoded(token)
        self._claims.validate(found.claims)
        ends = float(found.claims["exp"])
        return self._principal(found.claims, ends), ends + _LEEWAY

    async def _refresh(self) -> None:
        document = await self._issuer.keys()
        if self._version != self._issuer.version:
            self._judged.clear()
            self._keys, self._version = _key_set(document), self._issuer.version

    def _decoded(self, token: str) -> jwt.Token:
        found = jwt.decode(token, self._choose, algorithms=list(self._rules.algorithms))
        if str(found.header.get("typ", "JWT")).lower() not in _TYPES:
            raise Refused("it is a token for something else")
        return found

    def _choose(self, signed: Any) -> Any:
        header = signed.headers()
        if not isinstance(header.get("kid"), str):
            raise Refused("it does not say by which key")
        return self._keys.get_by_kid(header["kid"], {"alg": header["alg"], "use": "sig"})

    def _principal(self, claims: dict[str, Any], ends: float) -> Principal:
        subject = claims["sub"]
        if not (0 < len(subject) <= _LONGEST_SUBJECT and subject.isprintable()):
            raise Refused("its subject is no name")
        tenant = self._rules.tenant or claims.get(self._rules.tenant_claim)
        if not isinstance(tenant, str):
            raise Refused(f"it has no claim {self._rules.tenant_claim}")
        left = ends + _LEEWAY - self._now()
        return Principal(
            tenant=tenant_id(tenant),
            name=f"sub {subject}",
            scopes=self._scopes(claims.get(self._rules.scope_claim)),
            until=asyncio.get_running_loop().time() + left,
        )

    def _scopes(self, said: object) -> frozenset[Scope]:
        """Read the scopes that are ours: words with spaces (RFC 8693), or a list."""
        words = said.split() if isinstance(said, str) else said if isinstance(said, list) else []
        prefix = self._rules.scope_prefix
        ours = (str(word).removeprefix(prefix) for word in words if str(word).startswith(prefix))
        return frozenset(Scope(word) for word in ours if word in set(Scope))

    def _keep(self, digest: bytes, until: float, principal: Principal) -> None:
        if len(self._judged) >= _MOST_KEPT:
            self._judged.clear()
        self._judged[digest] = until, principal


def _key_set(document: dict[str, Any]) -> KeySet:
    """Take the public keys for signatures out of the issuer's document; pass over the rest."""
    keys = []
    for one in document["keys"]:
        if not (isinstance(one, dict) and one.get("kty") in _KINDS and one.get("kid")):
            continue
        try:
            keys += KeySet.import_key_set({"keys": [one]}).keys
        except (JoseError, ValueError, TypeError, KeyError) as error:
            log.warning("key of the issuer passed over", kid=str(one["kid"])[:100], why=repr(error))
    return KeySet(keys)
