"""One connection of a client, with what aiohttp leaves open: a limit on silence and on floods."""

import asyncio
import socket
import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from fcntl import ioctl
from typing import Any, Final, cast

import structlog
from aiohttp import hdrs, web
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import HttpProcessingError

from front_service.api.answers import problem
from front_service.crowd import Crowd, Full
from front_service.heads import Heads
from front_service.push.frames import FrameMeter
from front_service.push.pace import Pace
from front_service.readers import Readers
from front_service.refusals import BadExpectation, Bug
from front_service.turnstile import Turnstile
from shared.contract import headers
from shared.contract.errors import Malformed, UketsukeError, Unavailable
from shared.contract.ids import parse_track_id
from shared.runtime.track import fresh_track_id

log: Final = structlog.get_logger()

_COME_BACK: Final = 5  # seconds
_HEARD_OUT: Final = 1.0  # seconds; cut at once, a peer that still speaks would not see its answer
_lines: Final = Pace(1)  # a flood of connections is no flood of lines


class Connection(web.RequestHandler):
    """A connection whose heads and readings are timed, and whose broken requests get an answer.

    One that is too many is told so in place of whatever it is about to ask.
    """

    __slots__ = (
        "_address",
        "_answered",
        "_crowd",
        "_frames",
        "_heads",
        "_is_plain",
        "_line",
        "_readers",
        "_turnstile",
    )

    def __init__(
        self,
        heads: Heads,
        readers: Readers,
        crowd: Crowd,
        turnstile: Turnstile,
        manager: web.Server,
        **options: Any,
    ) -> None:
        super().__init__(manager, **options)
        self._heads, self._readers, self._crowd = heads, readers, crowd
        self._turnstile = turnstile
        self._answered = 0  # of the requests that the library has read
        self._is_plain = True  # each request came whole and alone: the next byte begins another
        self._address = ""
        self._line: asyncio.Transport | None = None
        self._frames: FrameMeter | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._line = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self._address = str(peer[0]) if isinstance(peer, tuple) else ""
        full = self._crowd.enter(self._address)
        if full is not None:
            _turn_away(self._line, full)
            return
        self._heads.begun(self)
        self._readers.connected(self)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._crowd.leave(self._address)
        self._heads.done(self)
        self._readers.gone(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_plain and data and self._refuses(data):
            return
        before = self._request_count
        super().data_received(data)
        if self._is_plain and data:  # there is none when the library goes on after a pause
            self._is_plain = self._request_count == before + 1 and self._ends_with(data)
        is_idle = self._waiter is not None and not self._messages and not self._upgraded
        if is_idle and data.strip(b"\r\n"):
            self._heads.begun(self)  # of a further request on this line

    def _refuses(self, data: bytes) -> bool:
        """Answer a submit in a flood, if it is one and this line has nothing else to do."""
        line = self._line
        if line is None or self._answered != self._request_count:
            return False
        if self._close or self._force_close:
            return False
        if line.get_write_buffer_size():  # whoever does not read his answers gets no faster ones
            return False
        answer = self._turnstile.answer(data)
        if answer is None:
            return False
        self._heads.done(self)
        self._next_keepalive_close_time = self._loop.time() + (self._keepalive_timeout or 0)
        line.write(answer)
        return True

    def _ends_with(self, data: bytes) -> bool:
        """Tell whether the request that *data* began is the one that it ended with."""
        if not self._messages or self._upgraded:
            return False
        message, payload = self._messages[-1]
        if not isinstance(message, RawRequestMessage) or message.chunked or not payload.is_eof():
            return False
        size = data.find(b"\r\n\r\n") + 4 + int(message.headers.get(hdrs.CONTENT_LENGTH, 0))
        return size == len(data)

    def unread(self) -> int:
        """Say how much the peer has still to take; a WebSocket's is judged by its `Socket`."""
        line = self._line
        if line is None or self._frames is not None:
            return 0
        waiting = line.get_write_buffer_size()
        return waiting + _in_the_kernel(line) if waiting else 0

    def cut(self) -> None:
        """Drop the line with what waits on it."""
        log.info("slow reader cut off", waiting_bytes=self.unread())
        self.force_close()
        if self._line is not None:
            self._line.abort()

    def set_parser(self, parser: Any, data_received_cb: Callable[[], None] | None = None) -> None:
        """Put the parser of a WebSocket behind a meter."""
        self._frames = FrameMeter(parser)
        super().set_parser(cast("Any", self._frames), data_received_cb)

    def on_bad_frames(self, *, flood: Callable[[], None], unmasked: Callable[[], None]) -> None:
        """Say what is to be done when the peer of a WebSocket sends too many, or bare ones."""
        if self._frames is not None:
            self._frames.on_flood, self._frames.on_unmasked = flood, unmasked

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Say in our words what the library refused before any middleware saw it."""
        if isinstance(resp, web.HTTPExpectationFailed):
            resp = _refused(BadExpectation(), _track_id(request))
        finished = await super().finish_response(request, resp, start_time)
        self._answered += 1
        self._is_plain = self._is_plain and bool(finished[0].keep_alive)
        return finished

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP; a request that is one has its answer from the middleware."""
        track_id = fresh_track_id()
        if request.writer.output_size > 0 or isinstance(exc, ConnectionError):
            raise ConnectionError("there is nobody to tell, or too late")
        if isinstance(exc, HttpProcessingError):
            log.info("broken request", why=message, track_id=track_id)
            error: UketsukeError = Malformed("This is not HTTP as it should be.")
        else:
            log.error("request failed", status=status, exc_info=exc, track_id=track_id)
            error = Bug()
        return _refused(error, track_id)


class _TurnedAway(asyncio.Protocol):
    """Hears nothing any more; the line ends when the peer closes it, or soon."""


def _turn_away(transport: asyncio.Transport, full: Full) -> None:
    track_id = fresh_track_id()
    if _lines.allows():
        log.warning("connection refused", bound=full, track_id=track_id)
    error = Unavailable("Too many connections are open here.", retry_after=_COME_BACK)
    transport.set_protocol(_TurnedAway())
    transport.write(_written(_refused(error, track_id)))
    asyncio.get_running_loop().call_later(_HEARD_OUT, transport.abort)


def _written(response: web.Response) -> bytes:
    """Write an answer for which there is no request."""
    body = response.body if isinstance(response.body, bytes) else b""
    fields = {**response.headers, hdrs.CONTENT_LENGTH: str(len(body)), hdrs.CONNECTION: "close"}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {response.status} {response.reason}\r\n{head}\r\n".encode() + body


def _track_id(request: web.BaseRequest) -> str:
    return parse_track_id(request.headers.get(headers.TRACK_ID)) or fresh_track_id()


def _refused(error: UketsukeError, track_id: str) -> web.Response:
    response = problem(error, track_id)
    response.headers[headers.TRACK_ID] = track_id
    response.force_close()
    return response


def _in_the_kernel(line: asyncio.Transport) -> int:
    """Say how much of what was written the peer has not acknowledged yet."""
    peer: socket.socket | None = line.get_extra_info("socket")
    if peer is None:
        return 0
    with suppress(OSError, ValueError):
        return int.from_bytes(ioctl(peer.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    return 0
