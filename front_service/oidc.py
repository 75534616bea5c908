"""Read the settings of an outside issuer, and open what judges its tokens. Needs the extra."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from front_service.id_tokens import ALGORITHMS, TokenRules, Tokens
from front_service.issuer import Issuer, check_address, open_issuer
from shared.contract.access import tenant_id
from shared.runtime.clock import Clock
from shared.runtime.settings import BadSettings, FrontSettings


@asynccontextmanager
async def open_tokens(
    settings: FrontSettings, clock: Clock
) -> AsyncIterator[tuple[Tokens, Issuer]]:
    """Open the judge and the service that keeps the issuer's keys; raise ``BadSettings``."""
    rules = read_rules(settings)
    opening = open_issuer(clock, issuer=rules.issuer, keys_url=settings.oidc_keys_url)
    async with opening as issuer:
        yield Tokens(issuer, rules), issuer


def read_rules(settings: FrontSettings) -> TokenRules:
    """Make rules of the settings, or raise ``BadSettings`` with a line for each mistake."""
    issuer, audience = settings.oidc_issuer or "", settings.oidc_audience or ""
    mistakes = list(_bad_addresses(settings))
    if not audience:
        mistakes.append("UKETSUKE_OIDC_AUDIENCE: say for whom a token must be, or any would do")
    if strange := sorted(set(settings.oidc_algorithms) - ALGORITHMS):
        known = ", ".join(sorted(ALGORITHMS))
        mistakes.append(f"UKETSUKE_OIDC_ALGORITHMS: {strange[0]} is not taken; these are: {known}")
    if settings.oidc_tenant is not None:
        try:
            tenant_id(settings.oidc_tenant)
        except ValueError as error:
            mistakes.append(f"UKETSUKE_OIDC_TENANT: {error}")
    if mistakes:
        raise BadSettings("\n".join(mistakes))
    return TokenRules(
        issuer=issuer,
        audience=audience,
        algorithms=settings.oidc_algorithms,
        tenant_claim=settings.oidc_tenant_claim,
        tenant=settings.oidc_tenant,
        scope_claim=settings.oidc_scope_claim,
        scope_prefix=settings.oidc_scope_prefix,
    )


def _bad_addresses(settings: FrontSettings) -> Iterator[str]:
    given = {"OIDC_ISSUER": settings.oidc_issuer, "OIDC_KEYS_URL": settings.oidc_keys_url}
    for name, address in given.items():
        try:
            if address is not None:
                check_address(address)
        except ValueError as error:
            yield f"UKETSUKE_{name}: {error}"
