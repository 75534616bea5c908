"""Ask one front service over HTTP.

Everything that comes back is bounded, in bytes and in time, and judged: it is an answer, an
error of the contract, or one clear ``BadAnswer``. The token goes to the service's own origin and
to nobody else; only a read follows a redirect, and never away from that origin.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import count
from types import SimpleNamespace
from typing import Any, Final

import aiohttp
import orjson
from yarl import URL

from shared.contract.errors import (
    OverQuota,
    UketsukeError,
    Unavailable,
    Undecided,
    UnknownJob,
)
from shared.contract.headers import TRACK_ID
from uketsuke.documents import parse
from uketsuke.errors import BadAnswer, Unreachable, clean, from_answer
from uketsuke.patience import Clock, Deadline, Pace

MAY_PASS: Final = (Unreachable, Unavailable, OverQuota, Undecided)
"""What is worth another try."""

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
MOST_REDIRECTS: Final = 5
_MOST_BYTES: Final = 32 * 1024 * 1024  # twice the largest result that the service stores
_REFUSALS: Final = 400


class RedirectRefused(Exception):
    """A socket's upgrade was redirected; the library would follow it to any origin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One thing to ask. *body* builds a fresh body for every try."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Callable[[], Any] | None = None
    repeatable: bool = True
    missing: type[UketsukeError] = UnknownJob  # what a bare 404 means here
    at_most: timedelta | None = None  # for one try; None: ``Pace.answer``


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    headers: Mapping[str, str]
    document: object


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Wire:
    """The way to one front service."""

    def __init__(
        self,
        base_url: str,
        *,
        token: str | None,
        track_id: str | None,
        pace: Pace,
        clock: Clock,
        dice: Callable[[], float],
    ) -> None:
        self.base = _base(base_url)
        self.pace, self.clock, self.dice = pace, clock, dice
        self._own = {"Authorization": f"Bearer {token}"} if token else {}
        if track_id:
            self._own[TRACK_ID] = track_id
        self._session: aiohttp.ClientSession | None = None

    def open(self) -> None:
        trace = aiohttp.TraceConfig()
        trace.on_request_redirect.append(_refuse)
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(
                total=None,
                sock_connect=self.pace.connect.total_seconds(),
                sock_read=self.pace.silence.total_seconds(),
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[trace],
        )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    @property
    def session(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("the client is not open: use `async with Client(…) as client`")
        return self._session

    def address(self, url: str) -> URL:
        """Make an address of the service whole; one that is whole stays as it is."""
        if url.startswith("/") and not url.startswith("//"):
            return self.base.join(URL(self.base.raw_path.rstrip("/") + url, encoded=True))
        return _http_url(url)

    def headers_for(self, url: URL) -> dict[str, str]:
        """Give the token to the service itself, and to no other origin."""
        return dict(self._own) if url.origin() == self.base.origin() else {}

    def wait_before(self, tries: int, retry_after: int | None = None) -> timedelta:
        return self.pace.pause(tries, self.dice(), retry_after)

    async def ask(self, call: Call, until: Deadline) -> Answer:
        """Ask until there is an answer; trouble that may pass is tried again while there is time.

        Raises the last trouble when its pause would outlast *until*.
        """
        for tries in count(1):
            try:
                return await self._once(call, until)
            except MAY_PASS as trouble:
                pause = self.wait_before(tries, trouble.retry_after)
                if not call.repeatable or not until.allows(pause):
                    raise
                await until.pause(pause)
        raise AssertionError  # count never ends

    async def _once(self, call: Call, until: Deadline) -> Answer:
        url = self.address(call.path).update_query(call.query)
        for _ in range(MOST_REDIRECTS + 1):
            reply = await self._try(call, url, until)
            if reply.status not in REDIRECTS:
                return _judge(reply, call)
            onward = onward_from(url, reply.headers)
            if call.method != "GET" or onward.origin() != self.base.origin():
                raise BadAnswer(f"{self.base} sends on to {onward.origin()}: is the URL right?")
            url = onward
        raise BadAnswer(f"{self.base} redirects more than {MOST_REDIRECTS} times")

    async def _try(self, call: Call, url: URL, until: Deadline) -> _Reply:
        bound = until.seconds(call.at_most or self.pace.answer)
        async with (
            network_trouble(self.base, bound),
            self.session.request(
                call.method,
                url,
                headers={**self.headers_for(url), **call.headers},
                data=call.body() if call.body else None,
                allow_redirects=False,
            ) as response,
        ):
            body = await _read(response)
            return _Reply(status=response.status, headers=response.headers, body=body)


@asynccontextmanager
async def network_trouble(base: URL, bound: float | None) -> AsyncIterator[None]:
    """Say what went wrong on the way as an error of ours; give up after *bound* seconds."""
    try:
        async with asyncio.timeout(bound):
            yield
    except (aiohttp.ClientSSLError, aiohttp.ClientConnectorCertificateError) as error:
        raise BadAnswer(f"no safe connection to {base}: {clean(error)}") from error
    except TimeoutError as error:
        raise Unreachable(f"no answer from {base} in time") from error
    except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, ConnectionError) as error:
        raise Unreachable(f"no answer from {base}: {_why(error)}") from error
    except aiohttp.ClientError as error:
        raise BadAnswer(f"{base} does not speak HTTP as it should: {clean(error)}") from error


def _why(error: Exception) -> str:
    """Say it as the system says it, without the library's own wording."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its host name is not known"
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return clean(error) or type(error).__name__


def onward_from(url: URL, headers: Mapping[str, str]) -> URL:
    """Read where a redirect leads."""
    try:
        return _http_url(str(url.join(URL(headers["Location"]))))
    except (KeyError, ValueError) as error:
        raise BadAnswer("a redirect to nowhere") from error


def read_retry_after(headers: Mapping[str, str]) -> int | None:
    """Read ``Retry-After``, in seconds or as a date; ``None`` for nonsense."""
    said = headers.get("Retry-After", "").strip()
    if said.isascii() and said.isdigit():
        return int(said[:9])
    try:
        moment = parsedate_to_datetime(said)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0, round((aware - datetime.now(UTC)).total_seconds()))


def refusal(
    status: int, headers: Mapping[str, str], body: bytes, missing: type[UketsukeError]
) -> UketsukeError:
    """Build the error that an answer of 400 or above means."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = None  # a proxy's page: the status alone must do
    wait = read_retry_after(headers)
    return from_answer(status, document, retry_after=wait, missing=missing)


def _judge(reply: _Reply, call: Call) -> Answer:
    if reply.status >= _REFUSALS:
        raise refusal(reply.status, reply.headers, reply.body, call.missing)
    return Answer(headers=reply.headers, document=parse(reply.body))


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise BadAnswer(f"an answer of more than {_MOST_BYTES >> 20} MiB")
    return bytes(body)


def _base(text: str) -> URL:
    try:
        url = _http_url(text)
    except BadAnswer as error:
        raise ValueError(f"{clean(text, 200)!r} is no http(s) URL") from error
    if url.raw_query_string or url.raw_fragment or url.user is not None:
        raise ValueError(f"{clean(text, 200)!r}: a base URL is scheme, host, port and path alone")
    return url


def _http_url(text: str) -> URL:
    try:
        url = URL(text)
        if url.scheme in ("http", "https") and url.host:
            return url
    except ValueError:
        pass
    raise BadAnswer(f"no http(s) address: {clean(text, 200)!r}")


async def _refuse(
    _session: aiohttp.ClientSession,
    _context: SimpleNamespace,
    params: aiohttp.TraceRequestRedirectParams,
) -> None:
    params.response.close()
    raise RedirectRefused
