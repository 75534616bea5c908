"""Who calls: whose data it is, and under which name an Idempotency-Key is unique.

Until keys are configured there is one nameless caller, and whether a request may be taken from
it is judged by where it comes from: a browser page of somebody else's, or a host name that was
turned to point at us, gets nothing (cross-site requests, DNS rebinding).
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from front_service.refusals import Forbidden
from shared.contract.ids import THE_TENANT, TenantId


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A caller that was let in."""

    tenant: TenantId
    name: str


NOBODY: Final = Principal(tenant=THE_TENANT, name="anonymous")


class Doorkeeper:
    """Lets nameless callers in: those of this machine, or all where the operator says so."""

    def __init__(self, *, anyone: bool, allowed_origins: Collection[str]) -> None:
        self._anyone = anyone
        self._origins = frozenset(origin.rstrip("/").lower() for origin in allowed_origins)
        self._is_welcome = lru_cache(maxsize=1_024)(self._judge)  # few hosts, the same each time

    def admit(self, host: str | None, origin: str | None) -> Principal:
        """Judge by the headers ``Host`` and ``Origin``; raise ``Forbidden``."""
        if not self._is_welcome(host, origin):
            raise Forbidden("This service takes nameless callers from its own machine only.")
        return NOBODY

    def _judge(self, host: str | None, origin: str | None) -> bool:
        if not self._anyone and not is_local(host):
            return False
        if origin is None or origin.lower() in self._origins:
            return True
        netloc = _netloc(origin)
        if netloc is None:
            return False
        return is_local(netloc) or (self._anyone and netloc == (host or "").lower())


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
