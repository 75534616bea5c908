"""Peers that take their time: with a head, with a body, or with reading what they asked for."""

from dataclasses import dataclass
from typing import Final

from tests.front.catalogue.case import get, post, raw

_BODY: Final = "multipart/form-data; boundary=b"
_PART: Final = b'--b\r\nContent-Disposition: form-data; name="document"; filename="x"\r\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow:
    """After *sent* comes *drip* every half second, until the line is closed: *within* seconds.

    *answers* come before that; one that *reads* nothing gets no whole answer to its last request.
    """

    name: str
    sent: bytes
    drip: bytes = b""
    answers: tuple[int, ...] = ()
    reads: bool = True
    within: float = 6.0


def _head(name: str, sent: bytes, drip: bytes = b"", answers: tuple[int, ...] = ()) -> Slow:
    return Slow(name=f"head: {name}", sent=sent, drip=drip, answers=answers)


def _body(name: str, sent: bytes, drip: bytes = b"") -> Slow:
    return Slow(name=f"body: {name}", sent=sent, drip=drip, answers=(408,), within=11.0)


def _form(body: bytes) -> bytes:
    return post(body, path="/api/scans/read", media=_BODY).replace(
        b"Content-Length: %d" % len(body), b"Content-Length: 5000"
    )


_CHUNKED: Final = raw(b"", b"Transfer-Encoding: chunked")
_HALF: Final = b"GET /livez HTTP/1.1\r\nHost: local"

HEADS: Final = (
    _head("nothing", b""),
    _head("blank lines", b"", b"\r\n"),
    _head("half a method", b"GE"),
    _head("half a target", b"GET /liv", b"e"),
    _head("half a field", _HALF, b"x"),
    _head("field after field", _HALF + b"\r\n", b"X: y\r\n"),
    _head("all but the end", get("/livez")[:-2]),
    _head("half a TLS hello", b"\x16"),
    _head("half a preface", b"PRI * HT"),
    _head("the second one", get("/livez") + _HALF, b"x", (200,)),
    _head("the second one after a body", post(b"{}") + _HALF, b"x", (202,)),
    _head("the third one", get("/livez") * 2 + b"G", b"E", (200, 200)),
)

BODIES: Final = (
    _body("none of it", raw(b"", b"Content-Length: 10")),
    _body("half of it", raw(b'{"pay', b"Content-Length: 10")),
    _body("byte by byte", raw(b"", b"Content-Length: 10000"), b" "),
    _body("no chunk", _CHUNKED),
    _body("half a size", _CHUNKED + b"1"),
    _body("half a chunk", _CHUNKED + b"5\r\nab"),
    _body("chunks of a byte", _CHUNKED, b"1\r\n \r\n"),
    _body("an endless extension", _CHUNKED + b"1;", b"a"),
    _body("no last chunk", _CHUNKED + b"2\r\n{}\r\n"),
    _body("no end of the trailer", _CHUNKED + b"2\r\n{}\r\n0\r\nX: y\r\n"),
    _body("asked for, and not sent", raw(b"", b"Content-Length: 10", b"Expect: 100-continue")),
    _body("a blob", raw(b"", b"Content-Length: 10", path=b"/api/blobs")),
    _body("half a blob", raw(b"hello", b"Content-Length: 10", path=b"/api/blobs")),
    _body("no part of a form", _form(b"")),
    _body("half a boundary", _form(b"--")),
    _body("half the head of a part", _form(_PART)),
    _body("half a part", _form(_PART + b"\r\nxxx")),
    Slow(
        name="body: that nobody reads",
        sent=get("/livez", "Content-Length: 10"),
        answers=(200,),
    ),
    Slow(
        name="body: that was refused",
        sent=post(b"", media="text/xml").replace(b"Length: 0", b"Length: 10"),
        answers=(415,),
    ),
)

READERS: Final = (
    Slow(
        name="reader: of a result",
        sent=get("/api/demo/result/{large}"),
        reads=False,
        within=12.0,
    ),
    Slow(
        name="reader: of several results",
        sent=get("/api/demo/result/{large}") * 4,
        reads=False,
        within=12.0,
    ),
    Slow(
        name="reader: that keeps on asking",
        sent=get("/api/demo/result/{large}"),
        drip=get("/livez"),
        reads=False,
        within=12.0,
    ),
)
CASES: Final = (*HEADS, *BODIES, *READERS)
