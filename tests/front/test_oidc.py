"""Tokens of an outside issuer: a server with keys on loopback, and every way to be refused."""

import hmac
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from front_service.app import open_front
from front_service.id_tokens import TokenRules, Tokens
from front_service.issuer import Issuer, open_issuer
from front_service.oidc import read_rules
from shared.contract.access import Scope, tenant_id
from shared.contract.errors import Unavailable
from shared.runtime.settings import BadSettings
from tests.front.desk import open_desk, settings
from tests.support.clock import ManualClock

NOW: Final = 1_900_000_000.0
AUDIENCE: Final = "uketsuke"


@cache
def a_key(kid: str, use: Literal["sig", "enc"] = "sig") -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": kid, "use": use})


@cache
def a_curve(kid: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": kid, "alg": "ES256", "use": "sig"})


@dataclass(kw_only=True)
class House:
    """An issuer with its keys, and a judge that knows it."""

    url: str = ""
    keys: list[Any] = field(default_factory=lambda: [a_key("one"), a_curve("curve")])
    documents: dict[str, Any] = field(default_factory=dict)
    asked: int = 0
    clock: ManualClock = field(default_factory=ManualClock)
    issuer: Issuer = None  # type: ignore[assignment]  # set when it is opened
    tokens: Tokens = None  # type: ignore[assignment]  # as above

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        own = self.documents.get(request.path)
        if isinstance(own, web.StreamResponse):
            return own
        if own is not None:
            return web.json_response(own)
        if request.path == "/keys":
            return web.json_response({"keys": [key.as_dict(private=False) for key in self.keys]})
        return web.json_response({"issuer": self.url, "jwks_uri": self.url + "/keys"})

    def claims(self, **changed: Any) -> dict[str, Any]:
        said: dict[str, Any] = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "shop",
            "exp": int(NOW) + 300,
            "tenant": "acme",
            "scope": "submit read profile",
        } | changed
        return {name: value for name, value in said.items() if value is not None}

    def token(self, key: Any = None, header: dict[str, Any] | None = None, **changed: Any) -> str:
        key = key or a_key("one")
        head = {"alg": "RS256", "kid": "one"} | (header or {})
        named = {name: value for name, value in head.items() if value is not None}
        return jwt.encode(named, self.claims(**changed), key, algorithms=[named["alg"]])


@asynccontextmanager
async def open_house(**rules: Any) -> AsyncIterator[House]:
    house, app = House(), web.Application()
    app.router.add_get("/{path:.*}", house.answer)
    async with TestServer(app, host="127.0.0.1") as server:
        house.url = str(server.make_url("/")).rstrip("/")
        async with open_issuer(house.clock, issuer=house.url, keys_url=None) as issuer:
            said = {
                "issuer": house.url,
                "audience": AUDIENCE,
                "algorithms": ("RS256", "ES256"),
                "tenant_claim": "tenant",
            } | rules
            house.issuer = issuer
            house.tokens = Tokens(issuer, TokenRules(**said), now=lambda: NOW)
            yield house


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with open_house() as one:
        yield one


async def test_a_good_token_says_who_calls_for_whom_and_what_he_may(house: House) -> None:
    """Scopes that are not ours are for others."""
    principal = await house.tokens.principal(house.token())

    assert principal is not None
    assert (principal.tenant, principal.name) == (tenant_id("acme"), "sub shop")
    assert principal.scopes == {Scope.SUBMIT, Scope.READ}
    assert principal.until is not None


async def test_what_was_judged_is_not_judged_for_each_request(house: House) -> None:
    """A signature costs more than all else about a status."""
    token = house.token()

    first = await house.tokens.principal(token)

    assert await house.tokens.principal(token) is first
    assert house.asked == 2  # one for where the keys are, one for the keys


async def test_keys_on_a_curve_and_lists_of_audiences_and_scopes_are_taken(house: House) -> None:
    """As issuers differ."""
    token = house.token(
        a_curve("curve"),
        {"alg": "ES256", "kid": "curve", "typ": "at+jwt"},
        aud=["other", AUDIENCE],
        scope=["operate"],
    )

    principal = await house.tokens.principal(token)

    assert principal is not None
    assert principal.scopes == {Scope.OPERATE}


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "other"},
        {"aud": ["other"]},
        {"aud": None},
        {"aud": 7},
        {"exp": int(NOW) - 6},
        {"exp": None},
        {"exp": "soon"},
        {"nbf": int(NOW) + 60},
        {"iat": int(NOW) + 60},
        {"sub": None},
        {"sub": ""},
        {"sub": "a\nb"},
        {"sub": "a" * 256},
        {"sub": 7},
        {"tenant": None},
        {"tenant": "No Name"},
        {"tenant": ["acme"]},
    ],
    ids=str,
)
async def test_a_claim_that_is_not_as_it_must_be_is_refused(
    house: House, changed: dict[str, Any]
) -> None:
    """Each alone is enough, however well it is signed."""
    assert await house.tokens.principal(house.token(**changed)) is None


def unsigned(house: House, alg: str) -> str:
    parts = ({"alg": alg, "kid": "one"}, house.claims())
    return ".".join(urlsafe_b64encode(orjson.dumps(p)).decode().rstrip("=") for p in parts) + "."


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "RS256", ""])
async def test_an_unsigned_token_is_refused(house: House, alg: str) -> None:
    """Whatever it calls its signature."""
    assert await house.tokens.principal(unsigned(house, alg)) is None


async def test_a_public_key_is_no_secret(house: House) -> None:
    """The old trick: to sign by HMAC with what everybody can fetch."""
    said = unsigned(house, "HS256").rstrip(".")
    public = a_key("one")
    for secret in (public.as_pem(private=False), orjson.dumps(public.as_dict(private=False))):
        signature = urlsafe_b64encode(hmac.digest(secret, said.encode(), "sha256"))
        token = f"{said}.{signature.decode().rstrip('=')}"
        assert await house.tokens.principal(token) is None


async def test_a_token_by_another_key_or_algorithm_is_refused(house: House) -> None:
    """A kid that nobody knows, none at all, a stranger's key under a known name, a foreign alg."""
    strange = a_key("strange")
    for token in (
        house.token(strange, {"kid": "strange"}),
        house.token(strange, {"kid": "one"}),
        house.token(header={"kid": None}),
        house.token(header={"alg": "PS256"}),
        house.token(header={"alg": "RS512"}),
        house.token(header={"typ": "logout+jwt"}),
        house.token()[:-8] + "AAAAAAAA",
        "a.b.c",
        "..",
        house.token(pad="x" * 9_000),
        "ä.ö.ü",
    ):
        assert await house.tokens.principal(token) is None


async def test_a_key_for_something_else_verifies_nothing(house: House) -> None:
    """What the issuer publishes for encryption, or as a secret, is not for signatures."""
    sealing = a_key("sealing", use="enc")
    same = RSAKey.import_key(sealing.as_pem(private=True), {"kid": "sealing"})
    house.keys = [sealing, OctKey.generate_key(256, {"kid": "oct"})]

    assert await house.tokens.principal(house.token(same, {"kid": "sealing"})) is None


async def test_a_new_key_is_found_and_an_old_one_is_dropped(house: House) -> None:
    """Issuers change their keys; but tokens with made-up kids do not make us ask each time."""
    old = house.token()
    assert await house.tokens.principal(old) is not None
    new = a_key("strange")
    house.keys = [new]
    asked = house.asked
    for _ in range(10):
        assert await house.tokens.principal(house.token(new, {"kid": "strange"})) is None
    assert house.asked == asked

    house.clock.pass_by(5)

    assert await house.tokens.principal(house.token(new, {"kid": "strange"})) is not None
    assert await house.tokens.principal(old) is None


async def test_while_the_issuer_is_away_nobody_is_called_a_liar(house: House) -> None:
    """503: the token may be good. What was known is good for an hour."""
    for trouble in (
        {"/keys": web.Response(status=500)},
        {"/keys": web.Response(status=302, headers={"Location": "/elsewhere"})},
        {"/keys": {"keys": "none"}},
        {"/keys": web.Response(body=b"[" * 300_000)},
        {"/.well-known/openid-configuration": {"issuer": "https://evil.example"}},
        {"/.well-known/openid-configuration": {"issuer": house.url, "jwks_uri": "http://evil/k"}},
    ):
        house.documents = trouble
        house.clock.pass_by(5)
        with pytest.raises(Unavailable):
            await house.tokens.principal(house.token())

    house.documents = {}
    house.clock.pass_by(5)
    assert await house.tokens.principal(house.token()) is not None
    house.documents = {"/keys": web.Response(status=500)}
    house.clock.pass_by(3_000)
    await house.issuer.look()
    assert await house.tokens.principal(house.token(jti="2")) is not None
    house.clock.pass_by(601)
    with pytest.raises(Unavailable):
        await house.tokens.principal(house.token(jti="3"))


async def test_an_issuer_may_name_one_tenant_and_scopes_of_ours() -> None:
    """Where its tokens say nothing of tenants, and its scopes bear our name."""
    async with open_house(tenant="acme", scope_prefix="desk:", scope_claim="scp") as house:
        token = house.token(tenant=None, scp="desk:read submit desk:nonsense")

        principal = await house.tokens.principal(token)

        assert principal is not None
        assert principal.scopes == {Scope.READ}


async def test_a_desk_takes_tokens_beside_keys_and_nobody_without(tmp_path: Path) -> None:
    """An issuer that is configured means that callers are asked."""
    async with open_house() as house, open_desk(tmp_path, tokens=house.tokens) as desk:
        shown = desk.keys.make("acme")
        for headers, expected in (
            ({}, 401),
            ({"Authorization": f"Bearer {house.token()}"}, 200),
            ({"Authorization": f"Bearer {shown}"}, 200),
            ({"Authorization": f"Bearer {house.token(aud='other')}"}, 401),
            ({"Authorization": f"Bearer {house.token(scope='submit')}"}, 403),
        ):
            async with desk.session.get(desk.url + "/api/jobs", headers=headers) as response:
                assert response.status == expected


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"oidc_audience": None}, "OIDC_AUDIENCE"),
        ({"oidc_algorithms": ("none",)}, "OIDC_ALGORITHMS"),
        ({"oidc_algorithms": ("RS256", "HS256")}, "OIDC_ALGORITHMS"),
        ({"oidc_issuer": "http://issuer.example"}, "OIDC_ISSUER"),
        ({"oidc_issuer": "https://u:p@issuer.example"}, "OIDC_ISSUER"),
        ({"oidc_keys_url": "ftp://issuer.example/keys"}, "OIDC_KEYS_URL"),
        ({"oidc_tenant": "No Name"}, "OIDC_TENANT"),
    ],
)
async def test_settings_that_would_let_anybody_in_refuse_to_start(
    values: dict[str, Any], named: str
) -> None:
    """Each with the name of what is wrong."""
    given = {"oidc_issuer": "https://issuer.example", "oidc_audience": AUDIENCE} | values

    with pytest.raises(BadSettings, match=f"UKETSUKE_{named}"):
        read_rules(settings(**given))
    with pytest.raises(BadSettings, match=f"UKETSUKE_{named}"):
        async with open_front(settings(**given)):
            pass


async def test_a_token_ends_when_it_says(house: House) -> None:
    """What was judged is not believed beyond it."""
    judge = Tokens(house.issuer, house.tokens._rules, now=time.time)
    assert await judge.principal(house.token(exp=int(time.time()) + 60)) is not None
    assert await judge.principal(house.token(exp=int(time.time()) - 60)) is None
