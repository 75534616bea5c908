"""Who may do what: tenants by name, scopes, and API keys as they are written and compared.

Pure: the entropy of a key is handed in. What is stored of a key is its SHA-256: of 32 random
bytes nobody finds the way back, and a slow hash would only slow down every request.
"""

import re
from base64 import urlsafe_b64encode
from enum import StrEnum
from hashlib import sha256
from typing import Final
from uuid import UUID

from shared.contract.ids import THE_TENANT, TenantId

DEFAULT_TENANT: Final = "default"
"""Whose everything is that was submitted before there were keys."""

KEY_PREFIX: Final = "uketsuke_"
"""What every key begins with, so that people and scanners know one where they find it."""

KEY_BYTES: Final = 32

_TENANT = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?", re.ASCII)
_KEY = re.compile(KEY_PREFIX + r"[A-Za-z0-9_-]{43}", re.ASCII)


class Scope(StrEnum):
    """What a caller may do; each route of the front service names the one it takes."""

    SUBMIT = "submit"
    READ = "read"
    CANCEL = "cancel"
    OPERATE = "operate"


EVERYTHING: Final = frozenset(Scope)


def tenant_id(name: str) -> TenantId:
    """Say which id the tenant of that name has, everywhere; raise ``ValueError`` for no name."""
    if not _TENANT.fullmatch(name):
        raise ValueError(
            "a tenant's name is 1 to 63 of a-z, 0-9, '.', '_' and '-', "
            "with a letter or digit at both ends"
        )
    if name == DEFAULT_TENANT:
        return THE_TENANT
    return TenantId(UUID(bytes=sha256(f"uketsuke tenant {name}".encode()).digest()[:16]))


def read_scopes(text: str) -> frozenset[Scope]:
    """Read ``submit,read``; raise ``ValueError`` for a word that is none, or for no word."""
    words = {word.strip() for word in text.split(",")} - {""}
    if unknown := sorted(words - set(Scope)):
        raise ValueError(f"{unknown[0]!r} is no scope: they are {', '.join(Scope)}")
    if not words:
        raise ValueError(f"name at least one scope: {', '.join(Scope)}")
    return frozenset(Scope(word) for word in words)


def write_key(entropy: bytes) -> str:
    """Write a key from its 32 random bytes: it is shown once, and stored nowhere."""
    if len(entropy) != KEY_BYTES:
        raise ValueError(len(entropy))
    return KEY_PREFIX + urlsafe_b64encode(entropy).decode("ascii").rstrip("=")


def digest_of(text: str) -> bytes | None:
    """Give what is stored of the key *text*; ``None`` for what cannot be one of ours."""
    return sha256(text.encode("ascii")).digest() if _KEY.fullmatch(text) else None
