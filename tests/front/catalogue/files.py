"""Files sent along or ahead: forms that are none, names with tricks, ranges of what was kept."""

from typing import Final

from tests.front.catalogue.case import CLOSED, UNKNOWN, Case, get, head, post

_SCANS: Final = "/api/scans/read"
_END: Final = b"--b--\r\n"


def _part(disposition: str | bytes, body: bytes = b"x", *headers: bytes) -> bytes:
    first = disposition if isinstance(disposition, bytes) else disposition.encode()
    lines = b"".join(h + b"\r\n" for h in (b"Content-Disposition: " + first, *headers))
    return b"--b\r\n" + lines + b"\r\n" + body + b"\r\n"


_FILE: Final = _part('form-data; name="document"; filename="a.pdf"')
_REQUEST: Final = _part('form-data; name="request"', b"{}")


def _form(name: str, status: int, *parts: bytes, end: bytes = _END, media: str = "b") -> Case:
    kind = f"multipart/form-data; boundary={media}" if media else "multipart/form-data"
    sent = post(b"".join(parts) + end, path=_SCANS, media=kind)
    return Case(name=f"form: {name}", sent=sent, answers=(status,))


def _named(name: str, file_name: bytes) -> Case:
    part = _part(b'form-data; name="document"; filename="' + file_name + b'"')
    return _form(f"a file called {name}", 202, _REQUEST, part)


FORMS: Final = (
    _form("well", 202, _REQUEST, _FILE),
    _form("the file first", 202, _FILE, _REQUEST),
    _form("no request", 400, _FILE),
    _form("two requests", 400, _REQUEST, _REQUEST, _FILE),
    _form("nothing", 400),
    _form("empty", 400, end=b""),
    _form("no parts, only text", 400, end=b"hello"),
    _form("the wrong boundary", 400, _REQUEST, _FILE, media="c"),
    _form("no boundary", 400, _REQUEST, _FILE, media=""),
    _form("an empty boundary", 400, _REQUEST, _FILE, media='""'),
    _form("a boundary of 300", 400, _REQUEST, _FILE, media="b" * 300),
    _form("a boundary with a blank", 400, _REQUEST, media='"a b "'),
    _form("no end", 400, _REQUEST, _FILE, end=b""),
    _form("an end cut short", 400, _REQUEST, _FILE, end=b"--b-"),
    _form("a part cut short", 400, _REQUEST, _FILE[:-6], end=b""),
    _form("a part without a name", 400, _REQUEST, _part("form-data")),
    _form("a part with an empty name", 400, _REQUEST, _part('form-data; name=""')),
    _form("a part without disposition", 400, _REQUEST, b"--b\r\nX: y\r\n\r\nx\r\n"),
    _form("a part without headers", 400, _REQUEST, b"--b\r\n\r\nx\r\n"),
    _form("a part of another disposition", 422, _REQUEST, _part('attachment; name="nobody"')),
    _form("a part nobody asked for", 422, _REQUEST, _FILE, _part('form-data; name="nobody"')),
    _form(
        "a part with parts",
        400,
        _REQUEST,
        _part('form-data; name="document"', b"--c--", b"Content-Type: multipart/mixed; boundary=c"),
    ),
    _form(
        "a header without a colon",
        400,
        _REQUEST,
        _part('form-data; name="document"', b"x", b"nonsense"),
    ),
    _form(
        "a header of 100 kB",
        400,
        _REQUEST,
        _part('form-data; name="document"', b"x", b"X: " + b"y" * 100_000),
    ),
    _form(
        "1,000 headers in a part",
        400,
        _REQUEST,
        _part('form-data; name="document"', b"x", *[b"X: y"] * 1_000),
    ),
    _form("NUL in a part's header", 400, _REQUEST, _part(b'form-data; name="document"; x="\0"')),
    _form(
        "a transfer encoding",
        400,
        _REQUEST,
        _part('form-data; name="document"', b"eA==", b"Content-Transfer-Encoding: nobody"),
    ),
    _form("65 parts", 400, _REQUEST, *[_part('form-data; name="pages"')] * 64, _FILE),
    _form("10,000 parts", 400, _REQUEST, *[_part('form-data; name="pages"')] * 10_000),
    _form("a request that is no JSON", 400, _part('form-data; name="request"', b"nonsense"), _FILE),
    _form(
        "a request 33 deep",
        422,
        _part('form-data; name="request"', b'{"a":' * 33 + b"1" + b"}" * 33),
    ),
    _form("a request that is a list", 400, _part('form-data; name="request"', b"[]"), _FILE),
    _form("a preamble", 202, b"hello\r\n", _REQUEST, _FILE),
    _form("an epilogue", 202, _REQUEST, _FILE, end=_END + b"bye"),
    _form("an empty file", 202, _REQUEST, _part('form-data; name="document"; filename="a"', b"")),
    _form(
        "a type that lies",
        202,
        _REQUEST,
        _part('form-data; name="document"; filename="a"', b"x", b"Content-Type: text/html"),
    ),
    _form(
        "the boundary in a line of a file",
        202,
        _REQUEST,
        _part('form-data; name="document"; filename="a"', b" --b\r\n--"),
    ),
    _form(
        "the boundary begins a line of a file",
        400,
        _REQUEST,
        _part('form-data; name="document"; filename="a"', b"\r\n--bb\r\n"),
    ),
    _named("a path", b"../../etc/passwd"),
    _named("a path of Windows", b"..\\\\..\\\\boot.ini"),
    _named("absolute", b"/etc/passwd"),
    _named("of dots", b".."),
    _named("nothing", b""),
    _named("a device", b"CON"),
    _named("with a percent", b"%2e%2e%2fpasswd"),
    _named("with a script", b"<script>.html"),
    _named("of 5,000", b"a" * 5_000),
    _named("in UTF-8", "résumé😀.pdf".encode()),
    _named("in bad UTF-8", b"\xff\xfe.pdf"),
    _named("right to left", "\u202efdp.exe".encode()),
)

UPLOADS: Final = (
    Case(name="blob: empty", sent=post(b"", path="/api/blobs", media=""), answers=(201,)),
    Case(
        name="blob: of zeros",
        sent=post(b"\0" * 100_000, path="/api/blobs", media=""),
        answers=(201,),
    ),
    Case(
        name="blob: compressed",
        sent=post(b"x", "Content-Encoding: gzip", path="/api/blobs"),
        answers=(415,),
        closed=CLOSED,
    ),
    Case(
        name="blob: announced as 2 GiB",
        sent=head("POST /api/blobs", "Content-Length: 2147483648"),
        answers=(413,),
        closed=CLOSED,
    ),
    Case(
        name="blob: two types",
        sent=post(b"x", "Content-Type: a/b", path="/api/blobs"),
        answers=(400,),
        closed=CLOSED,
    ),
    Case(
        name="blob: two names",
        sent=post(b"x", "Content-Disposition: a", "Content-Disposition: b", path="/api/blobs"),
        answers=(400,),
    ),
    *(
        Case(
            name=f"blob: called {name}",
            sent=post(b"x", b"Content-Disposition: attachment; " + value, path="/api/blobs"),
            answers=(201,),
        )
        for name, value in {
            "a path": b'filename="../../x"',
            "by an escape": b"filename*=UTF-8''%0d%0aSet-Cookie%3a%20a",
            "by bad UTF-8": b"filename*=UTF-8''%ff%fe",
            "by an unknown charset": b"filename*=nobody''x",
            "by NUL": b"filename*=UTF-8''a%00b",
            "by a surrogate": b"filename*=UTF-8''%ed%a0%80",
            "by half a quote": b'filename="x',
        }.items()
    ),
)


def _range(name: str, status: int, text: str, **more: tuple[str, str]) -> Case:
    sent = get("/api/blobs/{blob}", f"Range: {text}")
    return Case(name=f"range: {name}", sent=sent, answers=(status,), header=more.get("header"))


RANGES: Final = (
    _range("first", 206, "bytes=0-0", header=("content-range", "bytes 0-0/10")),
    _range("the last", 206, "bytes=-1", header=("content-range", "bytes 9-9/10")),
    _range("past the end", 206, "bytes=5-99", header=("content-range", "bytes 5-9/10")),
    _range("beyond", 416, "bytes=10-", header=("content-range", "bytes */10")),
    _range("far beyond", 416, "bytes=999999999999999999-"),
    _range("none of the last", 416, "bytes=-0"),
    _range("more than 18 digits", 200, "bytes=0-9999999999999999999"),
    _range("backwards", 200, "bytes=5-1"),
    _range("of nothing", 200, "bytes=-"),
    _range("negative", 200, "bytes=--1"),
    _range("several", 200, "bytes=0-0,2-2"),
    _range("a thousand", 200, "bytes=" + ",".join(["0-0"] * 1_000)),
    _range("other units", 200, "lines=0-1"),
    _range("nonsense", 200, "nonsense"),
    _range("other digits", 200, "bytes=\xb2-\xb3"),
    _range("hex", 200, "bytes=0x0-0x1"),
    Case(
        name="range: of nobody's blob",
        sent=get(f"/api/blobs/{UNKNOWN}", "Range: bytes=0-"),
        answers=(404,),
    ),
    Case(
        name="range: if something else",
        sent=get("/api/blobs/{blob}", "Range: bytes=0-0", 'If-Range: "x"'),
        answers=(200,),
    ),
    Case(name="blob: by a path", sent=get("/api/blobs/..%2f..%2fetc%2fpasswd"), answers=(404,)),
    Case(
        name="blob: known, any", sent=get("/api/blobs/{blob}", "If-None-Match: *"), answers=(304,)
    ),
)
CASES: Final = (*FORMS, *UPLOADS, *RANGES)
