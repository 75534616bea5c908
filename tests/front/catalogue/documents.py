"""Bodies of submits: JSON that is none, too much, or means two things; and what goes with it."""

import gzip
import zlib
from typing import Any, Final

import orjson

from tests.front.catalogue.case import CLOSED, Case, echo, nested, post


def _bad(name: str, body: bytes) -> Case:
    return Case(name=f"json: {name}", sent=post(body), answers=(400,), code="malformed")


def _wrong(name: str, body: bytes, path: str = "/api/demo/echo") -> Case:
    return Case(name=f"json: {name}", sent=post(body, path=path), answers=(422,), code="invalid")


def _fine(name: str, body: bytes, path: str = "/api/demo/echo") -> Case:
    return Case(name=f"json: {name}", sent=post(body, path=path), answers=(202,))


def _option(name: str, **job: Any) -> Case:
    body = orjson.dumps({"job": job})
    return Case(name=f"job: {name}", sent=post(body), answers=(422,), code="invalid")


def _media(name: str, media: str, *headers: str | bytes, body: bytes = b"{}") -> Case:
    return Case(
        name=f"media: {name}",
        sent=post(body, *headers, media=media),
        answers=(415,),
        code="unsupported_media_type",
        closed=CLOSED,
    )


def _key(name: str, status: int, *headers: str | bytes) -> Case:
    return Case(name=f"key: {name}", sent=post(b"{}", *headers), answers=(status,))


def _callback(name: str, url: object) -> Case:
    return _wrong(f"callback {name}", orjson.dumps({"callbackUrl": url}))


BROKEN: Final = (
    _bad("empty", b""),
    _bad("blank", b"  \r\n\t"),
    _bad("half", b'{"payload":'),
    _bad("no end", b'{"payload":"x'),
    _bad("trailing bytes", b"{}x"),
    _bad("two documents", b"{}{}"),
    _bad("a final comma", b'{"payload":1,}'),
    _bad("single quotes", b"{'payload':1}"),
    _bad("a comment", b'{"payload":1}//x'),
    _bad("names without quotes", b"{payload:1}"),
    _bad("NaN", b'{"payload":NaN}'),
    _bad("Infinity", b'{"payload":Infinity}'),
    _bad("-Infinity", b'{"payload":-Infinity}'),
    _bad("1e999", b'{"payload":1e999}'),
    _bad("a leading zero", b'{"payload":01}'),
    _bad("a leading plus", b'{"payload":+1}'),
    _bad("a leading dot", b'{"payload":.5}'),
    _bad("a final dot", b'{"payload":1.}'),
    _bad("hex", b'{"payload":0x10}'),
    _bad("only a minus", b'{"payload":-}'),
    _bad("capital True", b'{"payload":True}'),
    _bad("undefined", b'{"payload":undefined}'),
    _bad("a raw line feed in a text", b'{"payload":"a\nb"}'),
    _bad("a raw NUL in a text", b'{"payload":"a\0b"}'),
    _bad("a raw NUL outside", b'{"payload":\0 1}'),
    _bad("a bad escape", b'{"payload":"\\x41"}'),
    _bad("half an escape", b'{"payload":"\\u00"}'),
    _bad("bad UTF-8", b'{"payload":"\xff\xfe"}'),
    _bad("overlong UTF-8", b'{"payload":"\xc0\xaf"}'),
    _bad("a surrogate in UTF-8", b'{"payload":"\xed\xa0\x80"}'),
    _bad("UTF-8 cut short", b'{"payload":"\xe2\x82"}'),
    _bad("beyond Unicode", b'{"payload":"\xf4\x90\x80\x80"}'),
    _bad("Latin-1", '{"payload":"é"}'.encode("latin-1")),
    _bad("a byte order mark", b"\xef\xbb\xbf{}"),
    _bad("UTF-16", "{}".encode("utf-16")),
    _bad("UTF-16 without a mark", "{}".encode("utf-16-le")),
    _bad("UTF-32", "{}".encode("utf-32")),
    _bad("UTF-7", b'{"payload":"+AGE-"'),
    _bad("a lone surrogate", b'{"payload":"\\ud800"}'),
    _bad("a reversed pair", b'{"payload":"\\udc00\\ud800"}'),
    _bad("a lone surrogate as name", b'{"\\udfff":1}'),
    _bad("a list", b"[]"),
    _bad("a text", b'"x"'),
    _bad("a number", b"1"),
    _bad("null", b"null"),
    _bad("a form", b"a=b&c=d"),
    _bad("XML", b"<a/>"),
    _bad("gzip", gzip.compress(b"{}")),
    _bad("MessagePack", b"\x81\xa1a\x01"),
    _bad("an endless opening", b"[" * 30 + b"1"),
)

TOO_MUCH: Final = (
    _wrong("33 deep", nested(33)),
    _wrong("1,000 deep", nested(1_000)),
    _wrong("100,000 deep", nested(100_000)),
    _wrong("objects 40 deep", b'{"a":' * 40 + b"1" + b"}" * 40),
    _wrong("never closed, 500,000 deep", b'{"payload":' + b"[" * 500_000),
    _wrong("closers without end", b'{"payload":' + b"[" * 40 + b"]" * 900_000),
    _wrong("300,000 texts", b'{"payload":[' + b'"",' * 300_000 + b'""]}'),
    _wrong("60,000 long numbers", b'{"payload":' + b"1234567890123456 " * 60_000 + b"}"),
    _bad("450,000 numbers without commas", b'{"payload":' + b"1 " * 450_000 + b"1234567890123456}"),
    _bad("a text of quotes without end", b'{"payload":"' + b"[" * 33 + b'\\"' * 500_000),
    _bad("a text of backslashes without end", b'{"payload":"' + b"[" * 33 + b"\\" * 999_999),
    _wrong("10,001 values", echo([0] * 10_000)),
    _wrong("500,000 values", b'{"payload":[' + b"1," * 400_000 + b"1]}"),
    _wrong("100,000 empty objects", b'{"payload":[' + b"{}," * 100_000 + b"{}]}"),
    _wrong("1,001 members", echo({f"m{n}": n for n in range(1_001)})),
    _wrong("a name of 257", echo({"n" * 257: 1})),
    _wrong("a name of 100 kB", echo({"n" * 100_000: 1})),
    _wrong("a name of 257, escaped", b'{"payload":{"' + b"\\u006e" * 257 + b'":1}}'),
    _wrong("a name twice", b'{"payload":1,"payload":2}'),
    _wrong("a name twice, escaped", b'{"payload":1,"p\\u0061yload":2}'),
    _wrong("a name twice below", b'{"payload":{"a":1,"a":1}}'),
    _wrong("a name twice in a list", b'{"payload":[{"a":{"b":1,"b":2}}]}'),
    _wrong("2^53 + 1", b'{"payload":9007199254740993}'),
    _wrong("-2^53 - 1", b'{"payload":-9007199254740993}'),
    _wrong("2^64", b'{"payload":18446744073709551616}'),
    _wrong("a thousand digits", b'{"payload":' + b"9" * 1_000 + b"}"),
    _wrong("500,000 digits", b'{"payload":' + b"9" * 500_000 + b"}"),
    _wrong("500,000 digits after the dot", b'{"payload":0.' + b"1" * 500_000 + b"}"),
    _wrong("65 characters of a number", b'{"payload":0.' + b"1" * 63 + b"}"),
    _wrong("an exponent of 100 digits", b'{"payload":1e' + b"0" * 100 + b"1}"),
    _wrong("NUL in a text", b'{"payload":"a\\u0000b"}'),
    _wrong("NUL in a name", b'{"payload":{"a\\u0000":1}}'),
    _wrong("NUL deep within", b'{"payload":[[[{"a":["\\u0000"]}]]]}'),
    _wrong("an unknown member", b'{"nobody":1}'),
    _wrong("members of a prototype", b'{"__proto__":{"payload":1}}'),
    _wrong("a member of a model", b'{"__class__":1}'),
    _wrong("the wrong type", b'{"orderId":1}', "/api/orders/fulfil"),
    _wrong("out of range", b'{"orderId":"a","lineCount":11}', "/api/orders/fulfil"),
    _wrong("a float for an int", b'{"orderId":"a","lineCount":1.5}', "/api/orders/fulfil"),
    _wrong("no ordering key", b"{}", "/api/orders/fulfil"),
    _wrong("a missing member", b"{}", "/api/scans/read"),
    Case(
        name="json: over the cap",
        sent=post(echo("x" * 1_048_576)),
        answers=(413,),
        code="too_large",
        closed=CLOSED,
    ),
)

TAKEN: Final = (
    _fine("blanks around", b" \r\n {} \t"),
    _fine("32 deep", nested(32)),
    _fine("10,000 values", echo([0] * 9_998)),
    _fine("1,000 members", echo({f"m{n}": n for n in range(1_000)})),
    _fine("2^53", b'{"payload":9007199254740992}'),
    _fine("a tiny number", b'{"payload":1e-999}'),
    _fine("minus zero", b'{"payload":-0}'),
    _fine("a pair of surrogates", b'{"payload":"\\ud83d\\ude00"}'),
    _fine("text that looks like numbers", echo("9" * 1_000)),
    _fine("text that looks like nesting", echo("[" * 1_000)),
    _fine("text of a megabyte", echo("x" * 1_000_000)),
    _fine("a path in a text", echo("../../etc/passwd")),
    _fine("SQL in a text", echo("'; DROP TABLE jobs; --")),
    _fine("a template in a text", echo("{{7*7}} ${jndi:ldap://x} %s %n")),
    _fine("an escape sequence in a text", echo("\x1b[2J")),
    _fine("null for what is optional", b'{"payload":null,"job":null,"callbackUrl":null}'),
    _fine("an ordering key of emoji", '{"orderId":"😀"}'.encode(), "/api/orders/fulfil"),
)

OPTIONS: Final = (
    *(
        Case(name=f"job: is {kind}", sent=post(body), answers=(422,), code="invalid")
        for kind, body in {
            "a text": b'{"job":"x"}',
            "a list": b'{"job":[]}',
            "a number": b'{"job":1}',
        }.items()
    ),
    _option("unknown", nobody=1),
    _option("a key empty", orderingKey=""),
    _option("a key too long", orderingKey="k" * 201),
    _option("a key with a blank", orderingKey="a b"),
    _option("a key with a line feed", orderingKey="a\n"),
    _option("a key of look-alikes", orderingKey="\u0430"),
    _option("a key right to left", orderingKey="\u202ea"),
    _option("a key of wide letters", orderingKey="\uff41"),
    _option("a key that is a number", orderingKey=1),
    _option("priority unknown", priority="urgent"),
    _option("priority a number", priority=9),
    _option("21 tags", tags=["t"] * 21),
    _option("a tag too long", tags=["t" * 101]),
    _option("a tag empty", tags=[""]),
    _option("tags no list", tags="t"),
    _option("0 attempts", maxAttempts=0),
    _option("101 attempts", maxAttempts=101),
    _option("half an attempt", maxAttempts=1.5),
    _option("a delay below zero", delaySeconds=-1),
    _option("a delay of 367 days", delaySeconds=367 * 86_400),
    _option("a delay in words", delaySeconds="soon"),
    _option("delay and time", delaySeconds=1, runAt="2030-01-01T00:00:00Z"),
    _option("a time without zone", runAt="2030-01-01T00:00:00"),
    _option("a time before 1970", runAt="1969-12-31T23:59:59Z"),
    _option("a time after 9999", runAt="9999-12-31T23:59:59-12:00"),
    _option("year 10000", runAt="10000-01-01T00:00:00Z"),
    _option("a 13th month", runAt="2030-13-01T00:00:00Z"),
    _option("a time as a huge number", runAt=10**15),
    _option(
        "a deadline before the time", runAt="2030-01-02T00:00:00Z", deadline="2030-01-01T00:00:00Z"
    ),
    _option("a ttl of nothing", resultTtlSeconds=0),
    _option("a ttl of 91 days", resultTtlSeconds=91 * 86_400),
    _option("an unknown event", callbackEvents=["sometimes"]),
    _option("seven events", callbackEvents=["failed"] * 7),
    _callback("a number", 1),
    _callback("a list", ["https://a.example"]),
    _callback("of no scheme", "a.example"),
    _callback("a script", "javascript:alert(1)"),
    _callback("a file", "file:///etc/passwd"),
    _callback("a user", "https://u:p@a.example/"),
    _callback("a fragment", "https://a.example/#x"),
    _callback("a line feed", "https://a.example/\nX: y"),
    _callback("a blank", "https://a.example/a b"),
    _callback("a port too large", "https://a.example:70000/"),
    _callback("octal", "https://0177.0.0.1/"),
    _callback("too long", "https://a.example/" + "a" * 2_048),
)

MEDIA: Final = (
    _media("a form", "application/x-www-form-urlencoded", body=b"a=b"),
    _media("XML", "application/xml"),
    _media("bytes", "application/octet-stream"),
    _media("problem", "application/problem+json"),
    _media("JSON lines", "application/x-ndjson"),
    _media("a picture", "image/png"),
    _media("nonsense", "nonsense"),
    _media("stars", "*/*"),
    _media("two in one", "application/json, text/xml"),
    _media("Latin-1", "application/json; charset=iso-8859-1"),
    _media("UTF-16", "application/json; charset=utf-16"),
    _media("UTF-7", "application/json; charset=utf-7"),
    _media("an unknown charset", "application/json; charset=nobody"),
    _media("two charsets", "application/json; charset=utf-8; charset=utf-16"),
    _media(
        "encoded: gzip", "application/json", "Content-Encoding: gzip", body=gzip.compress(b"{}")
    ),
    _media(
        "encoded: deflate",
        "application/json",
        "Content-Encoding: deflate",
        body=zlib.compress(b"{}"),
    ),
    _media("encoded: br", "application/json", "Content-Encoding: br"),
    _media("encoded: zstd", "application/json", "Content-Encoding: zstd"),
    _media("encoded: gzip, gzip", "application/json", "Content-Encoding: gzip, gzip"),
    _media("encoded: unknown", "application/json", "Content-Encoding: nobody"),
    _media("encoded: identity", "application/json", "Content-Encoding: identity"),
    _media("encoded: empty", "application/json", "Content-Encoding:"),
    _media(
        "encoded: a bomb",
        "application/json",
        "Content-Encoding: gzip",
        body=gzip.compress(b" " * 50_000_000),
    ),
    Case(
        name="media: two headers",
        sent=post(b"{}", "Content-Type: application/json"),
        answers=(400,),
        code="malformed",
        closed=CLOSED,
    ),
    *(
        Case(name=f"media: taken {media or 'none'}", sent=post(b"{}", media=media), answers=(202,))
        for media in (
            "",
            "text/plain",
            "text/plain; charset=UTF-8",
            'application/json; charset="utf-8"',
            "APPLICATION/JSON",
            "application/json; x=y",
        )
    ),
)

KEYS: Final = (
    _key("empty", 400, "Idempotency-Key:"),
    _key("256 characters", 400, "Idempotency-Key: " + "k" * 256),
    _key("UTF-8", 400, b"Idempotency-Key: \xc3\xa9"),
    _key("a tab", 400, b"Idempotency-Key: a\tb"),
    _key("two headers", 400, "Idempotency-Key: a", "Idempotency-Key: b"),
    _key("two equal headers", 400, "Idempotency-Key: a", "Idempotency-Key: a"),
    _key("255 characters", 202, "Idempotency-Key: " + "k" * 255),
    _key("quotes and blanks", 202, 'Idempotency-Key: "a b"; c'),
    Case(
        name="key: with another request",
        sent=post(b'{"payload":1}', "Idempotency-Key: m")
        + post(b'{"payload":2}', "Idempotency-Key: m"),
        answers=(202, 422),
        code="idempotency_mismatch",
    ),
    Case(
        name="key: with the same request",
        sent=post(b'{"payload":1}', "Idempotency-Key: s") * 2,
        answers=(202, 202),
        header=("idempotent-replayed", "true"),
    ),
)
CASES: Final = (*BROKEN, *TOO_MUCH, *TAKEN, *OPTIONS, *MEDIA, *KEYS)
