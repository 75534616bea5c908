"""The keys of an OpenID issuer: where they are, fetched with bounds, and kept for a while.

The operator names the issuer, so its address is trusted as far as it says; what comes from there is
not. Only https (or plain http on this machine), no redirect, no proxy of the environment, little
time and few bytes.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import orjson
import structlog
from yarl import URL

from front_service.identity import is_local
from shared.contract.errors import Unavailable
from shared.runtime.clock import Clock

log: Final = structlog.get_logger()

Document = dict[str, Any]

_DISCOVERY: Final = "/.well-known/openid-configuration"
_PATIENCE: Final = 5.0  # seconds for one document
_MOST_BYTES: Final = 262_144
_EVERY: Final = 60.0  # seconds between two looks: a key that was withdrawn counts no longer
_SOONEST: Final = 5.0  # seconds, however many tokens name keys that nobody knows
_KEPT: Final = 3_600.0  # seconds without an answer after which the last one counts no more


class BadIssuer(Exception):
    """The issuer answers, and not as one does."""


class Issuer:
    """A service that keeps the documents with the issuer's keys; *version* tells a new one."""

    name = "issuer"

    def __init__(
        self, session: aiohttp.ClientSession, clock: Clock, *, issuer: str, keys_url: str | None
    ) -> None:
        self._session, self._clock = session, clock
        self._issuer, self._keys_url = issuer, keys_url
        self._document: Document = {}
        self._read_at, self._tried_at = float("-inf"), float("-inf")
        self._looking = asyncio.Lock()
        self.version = 0

    async def run(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(_EVERY)

    async def keys(self) -> Document:
        """Give the document with the keys; raise ``Unavailable`` while there is none."""
        if not self._document:
            await self.look()
        if not self._document or self._clock.monotonic() - self._read_at > _KEPT:
            raise Unavailable("The issuer of this token does not answer", retry_after=5)
        return self._document

    async def look(self) -> None:
        """Fetch the keys anew; not more often than every few seconds, whoever asks."""
        async with self._looking:
            now = self._clock.monotonic()
            if now - self._tried_at < _SOONEST:
                return
            self._tried_at = now
            try:
                document = await self._fetch_keys()
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError, BadIssuer) as error:
                log.warning("keys of the issuer not read", issuer=self._issuer, why=repr(error))
                return
            self._read_at = now
            if document != self._document:
                self._document, self.version = document, self.version + 1

    async def _fetch_keys(self) -> Document:
        url = self._keys_url
        if url is None:
            found = await self._fetch(self._issuer.rstrip("/") + _DISCOVERY)
            if found.get("issuer") != self._issuer:
                raise BadIssuer("its document names another issuer")
            url = str(found.get("jwks_uri"))
        document = await self._fetch(url)
        if not isinstance(document.get("keys"), list):
            raise BadIssuer("there are no keys in its document")
        return document

    async def _fetch(self, text: str) -> Document:
        check_address(text)
        async with self._session.get(URL(text), allow_redirects=False) as response:
            if response.status != 200:  # noqa: PLR2004  as it is called everywhere
                raise BadIssuer(f"{text} answered {response.status}")
            raw = await response.content.read(_MOST_BYTES)
            if not response.content.at_eof():
                raise BadIssuer(f"{text} is too long")
        document = orjson.loads(raw)
        if not isinstance(document, dict):
            raise BadIssuer(f"{text} is no JSON object")
        return document


def check_address(text: str) -> None:
    """Raise ``ValueError`` unless *text* is an https address, or a plain one of this machine."""
    address = URL(text)
    sound = bool(address.host) and not (address.user or address.password or address.fragment)
    if not sound or address.scheme not in {"http", "https"}:
        raise ValueError(f"{text} is no https address")
    if address.scheme == "http" and not is_local(address.authority):
        raise ValueError(f"{text}: keys are fetched by https only")


@asynccontextmanager
async def open_issuer(clock: Clock, *, issuer: str, keys_url: str | None) -> AsyncIterator[Issuer]:
    """Open a client for one issuer."""
    async with aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        timeout=aiohttp.ClientTimeout(total=_PATIENCE),
        headers={"Accept": "application/json", "Accept-Encoding": "identity"},
        auto_decompress=False,
    ) as session:
        yield Issuer(session, clock, issuer=issuer, keys_url=keys_url)
