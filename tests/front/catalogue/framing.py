"""HTTP that is none, or that two readers would read in two ways."""

from typing import Final

from tests.front.catalogue.case import CLOSED, HOST, Case, get, head, post


def _broken(name: str, sent: bytes) -> Case:
    return Case(name=name, sent=sent, answers=(400,), closed=CLOSED, code="malformed")


def _line(name: str, line: bytes) -> Case:
    return _broken(f"request line: {name}", line + b"\r\n" + HOST + b"\r\n")


def _field(name: str, field: bytes) -> Case:
    return _broken(
        f"field: {name}", b"GET /livez HTTP/1.1\r\nHost: localhost\r\n" + field + b"\r\n\r\n"
    )


LINES: Final = (
    _line("nonsense", b"nonsense"),
    _line("no version", b"GET /livez"),
    _line("HTTP/0.9 style", b"GET /"),
    _line("HTTP/2.0", b"GET /livez HTTP/2.0"),
    _line("HTTP/3.0", b"GET /livez HTTP/3.0"),
    _line("HTTP/0.9", b"GET /livez HTTP/0.9"),
    _line("HTTP/1.2", b"GET /livez HTTP/1.2"),
    _line("HTTP/1", b"GET /livez HTTP/1"),
    _line("HTTP/11.1", b"GET /livez HTTP/11.1"),
    _line("HTTP/1.1x", b"GET /livez HTTP/1.1x"),
    _line("http/1.1 in small letters", b"GET /livez http/1.1"),
    _line("a tab", b"GET\t/livez HTTP/1.1"),
    _line("a blank before", b" GET /livez HTTP/1.1"),
    _line("a blank in the target", b"GET /li vez HTTP/1.1"),
    _line("NUL in the target", b"GET /li\0vez HTTP/1.1"),
    _line("a control character in the target", b"GET /li\x01vez HTTP/1.1"),
    _line("an empty target", b"GET  HTTP/1.1"),
    _line("a target without a slash", b"GET livez HTTP/1.1"),
    _line("a method of brackets", b"G<T /livez HTTP/1.1"),
    _line("a method in small letters", b"get /livez HTTP/1.1"),
    _line("a method nobody knows", b"FROBNICATE /livez HTTP/1.1"),
    _line("NUL as method", b"\0 /livez HTTP/1.1"),
    _line("a target of 10 kB", b"GET /" + b"a" * 10_000 + b" HTTP/1.1"),
    _line("a query of 10 kB", b"GET /livez?" + b"a" * 10_000 + b" HTTP/1.1"),
    Case(
        name="request line: ICE",
        sent=b"SOURCE /livez ICE/1.0\r\n" + HOST + b"\r\n",
        answers=(405,),
        closed=CLOSED,
    ),
    Case(
        name="request line: RTSP",
        sent=b"OPTIONS /livez RTSP/1.0\r\n" + HOST + b"\r\n",
        answers=(405,),
        closed=CLOSED,
    ),
    Case(
        name="request line: two blanks",
        sent=b"GET  /livez HTTP/1.1\r\n" + HOST + b"\r\n",
        answers=(200,),
    ),
    _broken("TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x11" * 64),
    _broken("SSL 2 hello", b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + b"\x22" * 32),
    _broken("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    _broken("SSH", b"SSH-2.0-OpenSSH_9.2\r\n"),
    _broken("SMTP", b"EHLO localhost\r\n"),
    _broken("AMQP", b"AMQP\x00\x00\x09\x01"),
    _broken("PostgreSQL", b"\x00\x00\x00\x08\x04\xd2\x16\x2f"),
    _broken("Redis", b"*1\r\n$4\r\nPING\r\n"),
    _broken("proxy protocol", b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n" + get("/livez")),
    _broken("proxy protocol 2", b"\r\n\r\n\x00\r\nQUIT\n" + b"\x21\x11\x00\x0c" + b"\0" * 12),
    _broken("all zeros", b"\0" * 1_000),
    _broken("all ones", b"\xff" * 1_000),
)

TARGETS: Final = (
    Case(name="target: of another host", sent=get("http://evil.example/livez"), answers=(421,)),
    Case(name="target: of another port", sent=get("http://localhost:1/livez"), answers=(421,)),
    Case(name="target: with a user", sent=get("http://a@localhost/livez"), answers=(421,)),
    Case(name="target: our own, absolute", sent=get("http://localhost/livez"), answers=(200,)),
    Case(name="target: https", sent=get("https://localhost/livez"), answers=(200,)),
    Case(name="target: ftp", sent=get("ftp://localhost/livez"), answers=(200,)),
    Case(
        name="target: authority",
        sent=head("CONNECT evil.example:443"),
        answers=(405,),
        closed=CLOSED,
    ),
    Case(name="target: asterisk", sent=head("OPTIONS *"), answers=(404,)),
    Case(name="target: two slashes", sent=get("//livez"), answers=(404,)),
    Case(name="target: a host in the path", sent=get("//evil.example/livez"), answers=(404,)),
    Case(name="target: dots", sent=get("/api/../livez"), answers=(405,)),
    Case(name="target: encoded dots", sent=get("/api/%2e%2e/livez"), answers=(405,)),
    Case(name="target: encoded slash", sent=get("/api%2fjobs"), answers=(404,)),
    Case(name="target: encoded NUL", sent=get("/livez%00"), answers=(404,)),
    Case(name="target: bad escape", sent=get("/livez%zz"), answers=(404,)),
    Case(name="target: half an escape", sent=get("/livez%"), answers=(404,)),
    _broken("target: bare UTF-8", get("/liv\xc3\xa9z")),
    _broken("target: bare Latin-1", get("/liv\xe9z")),
    Case(name="target: escaped surrogate", sent=get("/livez%ed%a0%80"), answers=(404,)),
    Case(name="target: a fragment", sent=get("/livez#x"), answers=(200,)),
    Case(name="target: capital letters", sent=get("/LIVEZ"), answers=(404,)),
    Case(name="target: a final slash", sent=get("/livez/"), answers=(404,)),
    Case(name="method: PUT", sent=head("PUT /api/jobs"), answers=(405,), code="method_not_allowed"),
    Case(name="method: PATCH", sent=head("PATCH /api/jobs"), answers=(405,)),
    Case(name="method: TRACE", sent=head("TRACE /livez"), answers=(405,)),
    Case(name="method: DELETE on a list", sent=head("DELETE /api/jobs"), answers=(405,)),
    Case(name="method: POST on livez", sent=post(b"{}", path="/livez"), answers=(405,)),
    Case(name="method: GET on a submit", sent=get("/api/demo/echo"), answers=(405,)),
    Case(name="method: PROPFIND", sent=head("PROPFIND /api/jobs"), answers=(405,)),
)

FIELDS: Final = (
    _field("NUL in a value", b"X: a\0b"),
    _field("NUL in a name", b"X\0Y: a"),
    _field("bare CR in a value", b"X: a\rb"),
    _field("bare LF ends a line", b"X: a\nY: b"),
    _field("bare LF ends the head", b"X: a\n\n"),
    _field("bell in a value", b"X: a\x07b"),
    _field("DEL in a name", b"X\x7f: a"),
    _field("folded", b"X: a\r\n b"),
    _field("folded by a tab", b"X: a\r\n\tb"),
    _field("first line folded", b" X: a"),
    _field("a blank before the colon", b"X : a"),
    _field("a tab before the colon", b"X\t: a"),
    _field("a blank in the name", b"X Y: a"),
    _field("no colon", b"X"),
    _field("no name", b": a"),
    _field("a name of brackets", b"X(Y): a"),
    _field("a name in UTF-8", b"X-\xc3\xa9: a"),
    _field("a value of 10 kB", b"X: " + b"a" * 10_000),
    _field("a name of 10 kB", b"a" * 10_000 + b": a"),
    _field("200 fields", b"X: y\r\n" * 199 + b"X: y"),
    _field("2,000 fields", b"X: y\r\n" * 1_999 + b"X: y"),
    _field("100 kB in fields of 5 kB", (b"X: " + b"y" * 5_000 + b"\r\n") * 199 + b"X: y"),
    _field("two hosts", b"Host: localhost"),
    _field("another host", b"Host: evil.example"),
    Case(name="field: obs-text", sent=get("/livez", b"X: \xe9\xff"), answers=(200,)),
    Case(name="field: empty", sent=get("/livez", b"X:"), answers=(200,)),
    Case(name="field: 100 of one name", sent=get("/livez", *["X: y"] * 100), answers=(200,)),
    Case(name="field: value of 8,000", sent=get("/livez", b"X: " + b"y" * 8_000), answers=(200,)),
    _broken("host: none", head("GET /livez", host=b"")),
    Case(name="host: empty", sent=head("GET /livez", host=b"Host:\r\n"), answers=(403,)),
    Case(name="host: foreign", sent=head("GET /livez", host=b"Host: evil\r\n"), answers=(403,)),
    Case(
        name="host: a user", sent=head("GET /livez", host=b"Host: a@localhost\r\n"), answers=(403,)
    ),
    Case(
        name="host: a bad port",
        sent=head("GET /livez", host=b"Host: localhost:x\r\n"),
        answers=(403,),
    ),
    Case(
        name="host: half a bracket", sent=head("GET /livez", host=b"Host: [::1\r\n"), answers=(403,)
    ),
    Case(
        name="host: metadata",
        sent=head("GET /livez", host=b"Host: 169.254.169.254\r\n"),
        answers=(403,),
    ),
    Case(
        name="host: almost ours",
        sent=head("GET /livez", host=b"Host: localhost.evil\r\n"),
        answers=(403,),
    ),
    Case(
        name="host: a path", sent=head("GET /livez", host=b"Host: localhost/x\r\n"), answers=(403,)
    ),
    Case(
        name="host: two in one",
        sent=head("GET /livez", host=b"Host: localhost, evil\r\n"),
        answers=(403,),
    ),
)

CASES: Final = (*LINES, *TARGETS, *FIELDS)
