"""Bodies whose end is open to doubt, and requests that follow one another on a line."""

from typing import Final

from tests.front.catalogue.case import CLOSED, Case, chunked, get, head, post, raw


def _broken(name: str, sent: bytes) -> Case:
    return Case(name=name, sent=sent, answers=(400,), closed=CLOSED, code="malformed")


def _framed(name: str, *headers: bytes, body: bytes = b"{}") -> Case:
    return _broken(f"length: {name}", raw(body, *headers))


def _chunks(name: str, body: bytes) -> Case:
    return _broken(f"chunks: {name}", raw(body, b"Transfer-Encoding: chunked"))


LENGTHS: Final = (
    _framed("two, equal", b"Content-Length: 2", b"Content-Length: 2"),
    _framed("two, unequal", b"Content-Length: 2", b"Content-Length: 3"),
    _framed("a list", b"Content-Length: 2, 2"),
    _framed("with chunks", b"Content-Length: 2", b"Transfer-Encoding: chunked"),
    _framed("behind chunks", b"Transfer-Encoding: chunked", b"Content-Length: 2"),
    _framed("with another coding", b"Content-Length: 2", b"Transfer-Encoding: identity"),
    _framed("a plus", b"Content-Length: +2"),
    _framed("a minus", b"Content-Length: -2"),
    _framed("an underscore", b"Content-Length: 1_0"),
    _framed("hex", b"Content-Length: 0x2"),
    _framed("a fraction", b"Content-Length: 2.0"),
    _framed("a power", b"Content-Length: 2e0"),
    _framed("text", b"Content-Length: two"),
    _framed("empty", b"Content-Length:"),
    _framed("a blank within", b"Content-Length: 2 2"),
    _framed("other digits", b"Content-Length: \xd9\xa2"),
    _framed("2^64 and more", b"Content-Length: 99999999999999999999999"),
    _framed("a blank before the colon", b"Content-Length : 2"),
    _framed("xchunked", b"Transfer-Encoding: xchunked", body=chunked(b"{}")),
    _framed("chunked, twice", b"Transfer-Encoding: chunked, chunked", body=chunked(b"{}")),
    _framed("chunked, not last", b"Transfer-Encoding: chunked, gzip", body=chunked(b"{}")),
    _framed("gzip, chunked", b"Transfer-Encoding: gzip, chunked", body=chunked(b"{}")),
    _framed("identity", b"Transfer-Encoding: identity", body=chunked(b"{}")),
    _framed("quoted", b'Transfer-Encoding: "chunked"', body=chunked(b"{}")),
    _framed("a vertical tab", b"Transfer-Encoding: \x0bchunked", body=chunked(b"{}")),
    _framed(
        "two codings", b"Transfer-Encoding: x", b"Transfer-Encoding: chunked", body=chunked(b"{}")
    ),
    _framed("a folded coding", b"Transfer-Encoding:\r\n chunked", body=chunked(b"{}")),
    Case(
        name="length: CHUNKED in capitals",
        sent=raw(chunked(b"{}"), b"Transfer-Encoding: CHUNKED"),
        answers=(202,),
    ),
    Case(
        name="length: chunks in HTTP/1.0",
        sent=raw(chunked(b"{}"), b"Transfer-Encoding: chunked").replace(b"1.1", b"1.0"),
        answers=(400,),
        closed=CLOSED,
    ),
    Case(
        name="length: HTTP/1.0",
        sent=post(b"{}").replace(b"HTTP/1.1", b"HTTP/1.0"),
        answers=(202,),
        closed=CLOSED,
    ),
    Case(name="length: none", sent=raw(b""), answers=(400,), code="malformed"),
    Case(
        name="length: a body of a GET",
        sent=get("/livez", "Content-Length: 2") + b"{}",
        answers=(200,),
    ),
    Case(
        name="length: a request within a body is a body",
        sent=raw(b"{}", b"Content-Length: 40") + get("/livez"),
        answers=(400,),
        code="malformed",
    ),
    _framed("one too short", b"Content-Length: 2", body=b'{"payload":1}'),
)

CHUNKS: Final = (
    _chunks("no size", chunked(end=b"\r\n{}\r\n0\r\n\r\n")),
    _chunks("a size that is none", b"xyz\r\n{}\r\n0\r\n\r\n"),
    _chunks("0x", b"0x2\r\n{}\r\n0\r\n\r\n"),
    _chunks("a plus", b"+2\r\n{}\r\n0\r\n\r\n"),
    _chunks("a minus", b"-2\r\n{}\r\n0\r\n\r\n"),
    _chunks("an underscore", b"0_2\r\n{}\r\n0\r\n\r\n"),
    _chunks("2^64 and more", b"fffffffffffffffff\r\n{}\r\n0\r\n\r\n"),
    _chunks("a blank before the size", b" 2\r\n{}\r\n0\r\n\r\n"),
    _chunks("data longer than its size", b"1\r\n{}\r\n0\r\n\r\n"),
    _chunks("data without its end", b"2\r\n{}0\r\n\r\n"),
    _chunks("a bare LF after the size", b"2\n{}\r\n0\r\n\r\n"),
    _chunks("a bare LF after the data", b"2\r\n{}\n0\r\n\r\n"),
    _chunks("a bare CR after the size", b"2\r{}\r\n0\r\n\r\n"),
    _chunks("LF in an extension", b"2;a\nb\r\n{}\r\n0\r\n\r\n"),
    _chunks("NUL in an extension", b"2;a\0\r\n{}\r\n0\r\n\r\n"),
    _chunks("a bad trailer", b"2\r\n{}\r\n0\r\nX Y\r\n\r\n"),
    _chunks("a folded trailer", b"2\r\n{}\r\n0\r\nX: a\r\n b\r\n\r\n"),
    _chunks("300 trailers", b"2\r\n{}\r\n0\r\n" + b"X: y\r\n" * 300 + b"\r\n"),
    _chunks("a trailer of 100 kB", b"2\r\n{}\r\n0\r\nX: " + b"y" * 100_000 + b"\r\n\r\n"),
    Case(
        name="chunks: an extension",
        sent=raw(b'2;a="b c"\r\n{}\r\n0\r\n\r\n', b"Transfer-Encoding: chunked"),
        answers=(202,),
    ),
    Case(
        name="chunks: a size of leading zeros",
        sent=raw(b"0002\r\n{}\r\n000\r\n\r\n", b"Transfer-Encoding: chunked"),
        answers=(202,),
    ),
    Case(
        name="chunks: a trailer is no header",
        sent=raw(b"2\r\n{}\r\n0\r\nIdempotency-Key: \r\n\r\n", b"Transfer-Encoding: chunked"),
        answers=(202,),
    ),
    Case(
        name="chunks: a thousand of a byte",
        sent=raw(chunked(*([b" "] * 1_000), b"{}"), b"Transfer-Encoding: chunked"),
        answers=(202,),
    ),
    Case(
        name="chunks: over the cap",
        sent=raw(chunked(*[b" " * 65_536] * 17), b"Transfer-Encoding: chunked"),
        answers=(413,),
        code="too_large",
        closed=CLOSED,
    ),
    Case(
        name="chunks: nothing in them",
        sent=raw(chunked(), b"Transfer-Encoding: chunked"),
        answers=(400,),
        code="malformed",
    ),
    Case(
        name="chunks: a request hidden behind the end",
        sent=raw(chunked(b"{}") + get("/nowhere"), b"Transfer-Encoding: chunked"),
        answers=(202, 404),
    ),
)

PIPES: Final = (
    Case(name="pipeline: 1,000 requests", sent=get("/livez"), rounds=1_000, answers=(200,) * 1_000),
    Case(name="pipeline: 200 submits", sent=post(b"{}"), rounds=200, answers=(202,) * 200),
    _broken("pipeline: a broken one in the same breath", get("/livez") + b"nonsense\r\n\r\n"),
    _broken("pipeline: one after the last", get("/livez", "Connection: close") + get("/livez")),
    Case(
        name="pipeline: after a refused body",
        sent=post(b"<a/>", media="text/xml") + get("/livez"),
        answers=(415,),
        closed=CLOSED,
    ),
    Case(name="pipeline: blank lines before", sent=b"\r\n\r\n" + get("/livez"), answers=(200,)),
    Case(
        name="pipeline: Connection: close",
        sent=get("/livez", "Connection: close"),
        answers=(200,),
        closed=CLOSED,
    ),
    Case(
        name="expect: something else",
        sent=head("POST /api/demo/echo", "Expect: 200-maybe", "Content-Length: 2"),
        answers=(417,),
        code="bad_expectation",
        closed=CLOSED,
    ),
    Case(
        name="expect: a body over the cap",
        sent=head("POST /api/demo/echo", "Expect: 100-continue", "Content-Length: 99999999999"),
        answers=(413,),
        code="too_large",
        closed=CLOSED,
    ),
    Case(
        name="expect: an unknown type",
        sent=head("POST /api/no/such", "Expect: 100-continue", "Content-Length: 2"),
        answers=(404,),
        closed=CLOSED,
    ),
    Case(
        name="expect: and the body at once",
        sent=post(b"{}", "Expect: 100-continue"),
        answers=(100, 202),
    ),
    Case(
        name="upgrade: h2c",
        sent=get(
            "/livez",
            "Connection: Upgrade, HTTP2-Settings",
            "Upgrade: h2c",
            "HTTP2-Settings: AAMAAABkAAQAAP__",
        ),
        answers=(200,),
        closed=CLOSED,
    ),
    Case(
        name="upgrade: a WebSocket where there is none",
        sent=get("/livez", "Connection: Upgrade", "Upgrade: websocket"),
        answers=(200,),
        closed=CLOSED,
    ),
    Case(
        name="announced: too long",
        sent=raw(b"", b"Content-Length: 1048577"),
        answers=(413,),
        code="too_large",
        closed=CLOSED,
    ),
)
CASES: Final = (*LENGTHS, *CHUNKS, *PIPES)
