"""One bad thing that a stranger may send, and what becomes of it to the letter."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import orjson

HOST: Final = b"Host: localhost\r\n"
JSON: Final = b"Content-Type: application/json\r\n"
UNKNOWN: Final = "01890000-0000-7000-8000-000000000000"

CLOSED: Final = True
OPEN: Final = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is *sent* is answered with *answers*, status by status; then the line is closed or not.

    Where it stays open, a good request on the same line must be answered: nothing was left over.
    ``{waiting}``, ``{done}`` and the like stand for what the front knows.
    """

    name: str
    sent: bytes
    answers: tuple[int, ...]
    closed: bool = OPEN
    code: str | None = None  # of the last answer, a problem document
    header: tuple[str, str] | None = None  # of the last answer
    pieces: int = 1  # in how many parts it is sent
    rounds: int = 1  # how often it is sent
    within: float = 3.0  # seconds for each answer, and for the close

    def filled(self, known: Mapping[str, str]) -> bytes:
        data = self.sent * self.rounds
        for name, value in known.items():
            data = data.replace(b"{%s}" % name.encode(), value.encode())
        return data


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """What is *sent* over a WebSocket to a waiting job, and the *code* that closes it.

    Without one the socket stays, and answers a ping.
    """

    name: str
    sent: bytes
    code: int | None = None
    rounds: int = 1


def head(line: str, *headers: str | bytes, host: bytes = HOST) -> bytes:
    """Write a request without a body."""
    lines = [h if isinstance(h, bytes) else h.encode("latin-1") for h in headers]
    return (
        line.encode("latin-1")
        + b" HTTP/1.1\r\n"
        + host
        + b"".join(h + b"\r\n" for h in lines)
        + b"\r\n"
    )


def get(path: str, *headers: str | bytes) -> bytes:
    return head(f"GET {path}", *headers)


def post(
    body: bytes,
    *headers: str | bytes,
    path: str = "/api/demo/echo",
    media: str = "application/json",
) -> bytes:
    """Write a POST with a body of its announced length."""
    given = [f"Content-Type: {media}"] if media else []
    return head(f"POST {path}", *given, *headers, f"Content-Length: {len(body)}") + body


def raw(body: bytes, *headers: bytes, path: bytes = b"/api/demo/echo") -> bytes:
    """Write a POST whose framing is up to *headers* and *body*."""
    lines = b"".join(h + b"\r\n" for h in headers)
    return b"POST " + path + b" HTTP/1.1\r\n" + HOST + JSON + lines + b"\r\n" + body


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    """Write a body in chunks, framed by the caller or, for plain ones, by us."""
    return b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in chunks) + end


def echo(payload: object) -> bytes:
    return orjson.dumps({"payload": payload})


def nested(depth: int) -> bytes:
    """Write an object that is *depth* deep with all its arrays."""
    return b'{"payload":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"
