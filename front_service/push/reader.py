"""Who reads a stream: a caller that was let in, or the holder of a token for one job."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from aiohttp import hdrs, web

from front_service.keys import GRANT, PRINCIPAL, TOKENS
from front_service.tokens import MARK
from shared.contract.access import Scope
from shared.contract.errors import Malformed, UnknownJob
from shared.contract.ids import JobId, TenantId

PROTOCOL: Final = "uketsuke.v1"
"""The subprotocol that a browser may ask for beside its token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """*only* is the one job that a token is for, *until* when by the clock of the loop."""

    tenant: TenantId
    only: JobId | None = None
    until: float | None = None
    may_cancel: bool = False
    protocols: tuple[str, ...] = ()  # what to answer an upgrade with

    def check(self, job_id: str) -> None:
        """Raise ``UnknownJob`` for a job that the token is not for."""
        if self.only is not None and str(self.only) != job_id:
            raise UnknownJob


@contextmanager
def reading(request: web.Request) -> Iterator[Reader]:
    """Say who reads, and count it as a stream of its token while inside.

    Raises ``OverQuota``, or ``Malformed`` for a subprotocol that nobody speaks.
    """
    protocols = _answer(_offered(request))
    grant = request.get(GRANT)
    if grant is None:
        principal = request[PRINCIPAL]
        may_cancel = Scope.CANCEL in principal.scopes
        yield Reader(tenant=principal.tenant, may_cancel=may_cancel, protocols=protocols)
        return
    tokens = request.app[TOKENS]
    with tokens.stream(grant):
        yield Reader(
            tenant=grant.tenant,
            only=grant.job_id,
            until=asyncio.get_running_loop().time() + tokens.seconds_left(grant),
            protocols=protocols,
        )


def token_of(request: web.Request) -> str | None:
    """Read the token that *request* shows, if any; raise ``Malformed`` for more than one."""
    told = request.query.getall("token", [])
    told += [protocol for protocol in _offered(request) if protocol.startswith(MARK)]
    if len(told) > 1:
        raise Malformed("One token is enough.")
    return told[0] if told else None


def _offered(request: web.Request) -> list[str]:
    lines = request.headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, [])
    return [protocol.strip() for line in lines for protocol in line.split(",")]


def _answer(offered: list[str]) -> tuple[str, ...]:
    """Choose what to speak: a browser drops a socket that answers with none of its offers.

    The token is repeated only where nothing else was offered.
    """
    if PROTOCOL in offered:
        return (PROTOCOL,)
    if any(not protocol.startswith(MARK) for protocol in offered):
        raise Malformed(f"The subprotocol here is {PROTOCOL}.")
    return tuple(offered[:1])
