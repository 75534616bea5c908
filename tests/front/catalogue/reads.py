"""Ids of every wrong form, queries, cursors, and headers that a reader sends."""

from typing import Final
from urllib.parse import quote

from tests.front.catalogue.case import UNKNOWN, Case, get, head, post

_JOB: Final = "0189ABCD-0000-7000-8000-00000000000A"
_IDS: Final = {
    "text": "x",
    "a number": "1",
    "nothing but zeros": "0",
    "capital letters": _JOB,
    "braces": f"{{{UNKNOWN}}}",
    "urn": f"urn:uuid:{UNKNOWN}",
    "no dashes": UNKNOWN.replace("-", ""),
    "a dash too many": UNKNOWN + "-",
    "one short": UNKNOWN[:-1],
    "one long": UNKNOWN + "0",
    "a blank": f"{UNKNOWN} ",
    "a line feed": f"{UNKNOWN}\n",
    "NUL": f"{UNKNOWN}\0",
    "quotes": f"'{UNKNOWN}'",
    "SQL": "' OR 1=1 --",
    "dots": "..",
    "a path": "../../etc/passwd",
    "wide digits": UNKNOWN.replace("0", "\uff10"),
    "a surrogate pair": "\U0001f600",
    "8,000 characters": "a" * 7_900,
    "a star": "*",
    "a percent": "%",
    "undefined": "undefined",
    "null": "null",
}


def _ids() -> tuple[Case, ...]:
    ways = (
        ("status", "GET /api/demo/status/"),
        ("job", "GET /api/jobs/"),
        ("result", "GET /api/demo/result/"),
        ("cancel", "POST /api/demo/cancel/"),
        ("delete", "DELETE /api/jobs/"),
        ("blob", "GET /api/blobs/"),
    )
    return tuple(
        Case(
            name=f"id: {way} of {form}",
            sent=head(
                line + quote(text, safe=""), *(["Content-Length: 0"] if "POST" in line else [])
            ),
            answers=(404,),
        )
        for form, text in _IDS.items()
        for way, line in ways[:: 1 if form in ("text", "capital letters", "NUL") else 5]
    )


def _query(name: str, status: int, query: str, path: str = "/api/jobs") -> Case:
    return Case(name=f"query: {name}", sent=get(f"{path}?{query}"), answers=(status,))


def _header(
    name: str, status: int, *headers: str | bytes, path: str = "/api/jobs/{waiting}"
) -> Case:
    return Case(name=f"header: {name}", sent=get(path, *headers), answers=(status,))


def _track(name: str, value: bytes, *, kept: bool = False) -> Case:
    """A TrackID that is none is replaced by one of ours, so the answer is checked in the test."""
    sent = get("/livez", b"X-Track-ID: " + value)
    header = ("x-track-id", value.decode("latin-1")) if kept else None
    return Case(name=f"track: {name}", sent=sent, answers=(200,), header=header)


STATES: Final = (
    Case(
        name="job: of another collection", sent=get("/api/scans/status/{waiting}"), answers=(404,)
    ),
    Case(name="job: gone", sent=get("/api/jobs/{gone}"), answers=(410,), code="gone"),
    Case(name="job: no result yet", sent=get("/api/demo/result/{waiting}"), answers=(409,)),
    Case(
        name="job: cancel of one that ended",
        sent=post(b"", path="/api/demo/cancel/{done}", media=""),
        answers=(409,),
        code="already_ended",
    ),
    Case(
        name="job: replay of one that completed",
        sent=post(b"", path="/api/jobs/{done}/replay", media=""),
        answers=(409,),
    ),
    Case(
        name="job: release of one without a key",
        sent=post(b"", path="/api/jobs/{done}/release", media=""),
        answers=(409,),
    ),
    Case(
        name="type: unknown",
        sent=post(b"{}", path="/api/no/such"),
        answers=(404,),
        code="unknown_job_type",
    ),
    Case(name="type: with dots", sent=post(b"{}", path="/api/demo/echo.echo"), answers=(404,)),
    Case(name="type: a path", sent=post(b"{}", path="/api/demo/..%2fecho"), answers=(404,)),
    Case(name="type: NUL", sent=post(b"{}", path="/api/demo/echo%00"), answers=(404,)),
    Case(name="type: capital letters", sent=post(b"{}", path="/api/Demo/Echo"), answers=(404,)),
    Case(name="type: a model's name", sent=post(b"{}", path="/api/__class__/x"), answers=(404,)),
)

QUERIES: Final = (
    _query("unknown", 400, "nobody=1"),
    _query("empty name", 400, "=1"),
    _query("twice", 400, "tag=a&tag=b"),
    _query("5,000 of them", 400, "&".join(f"a{n}=1" for n in range(900))),
    _query("status unknown", 400, "status=done"),
    _query("state unknown", 400, "state=QUEUED"),
    _query("limit of text", 400, "limit=many"),
    _query("limit of nothing", 400, "limit="),
    _query("limit 0", 200, "limit=0"),
    _query("limit -1", 200, "limit=-1"),
    _query("limit of a billion", 200, "limit=1000000000"),
    _query("limit of a hundred digits", 200, "limit=" + "9" * 100),
    _query("limit of other digits", 400, "limit=%D9%A3"),
    _query("limit of a fraction", 400, "limit=1.5"),
    _query("limit of infinity", 400, "limit=inf"),
    _query("cursor of nothing", 400, "cursor="),
    _query("cursor of text", 400, "cursor=hello"),
    _query("cursor with padding", 400, "cursor=AYkAAAAAcACAAAAAAAAAAA%3D%3D"),
    _query("cursor cut short", 400, "cursor=AYkAAAAAcACAAAAAAAAA"),
    _query("cursor too long", 400, "cursor=" + "A" * 5_000),
    _query("cursor of plus and slash", 400, "cursor=%2B%2F%2B%2FAAAAcACAAAAAAAAAAA"),
    _query("cursor in UTF-8", 400, "cursor=%C3%A9"),
    _query("cursor with bits left over", 400, "cursor=AYkAAAAAcACAAAAAAAAAAB"),
    _query("tag with NUL", 400, "tag=%00"),
    _query("tag in bad UTF-8", 400, "tag=%ff"),
    _query("tag of a surrogate", 400, "tag=%ed%a0%80"),
    _query("tag of 201", 400, "tag=" + "t" * 201),
    _query("type with a line feed", 400, "type=a%0ab"),
    _query("key right to left", 400, "orderingKey=%E2%80%AE"),
    _query("time in words", 400, "createdAfter=yesterday"),
    _query("time without zone", 400, "createdAfter=2030-01-01T00:00:00"),
    _query("time of year 0", 400, "createdAfter=0000-01-01T00:00:00Z"),
    _query("time before all times", 400, "createdAfter=0001-01-01T00:00:00%2B14:00"),
    _query("time after all times", 400, "createdBefore=9999-12-31T23:59:59-14:00"),
    _query("time with a blank for a plus", 400, "createdAfter=2030-01-01T00:00:00+01:00"),
    _query("wait of text", 400, "wait=long", "/api/jobs/{waiting}"),
    _query("wait below zero", 400, "wait=-1", "/api/jobs/{waiting}"),
    _query("wait of nothing", 400, "wait=", "/api/jobs/{waiting}"),
    _query("wait of infinity", 400, "wait=Infinity", "/api/jobs/{waiting}"),
    _query("wait of other digits", 400, "wait=%D9%A3", "/api/jobs/{waiting}"),
    _query("wait 0", 200, "wait=0", "/api/jobs/{waiting}"),
    _query("wait for what has ended", 200, "wait=60", "/api/jobs/{done}"),
    _query("after of text", 400, "wait=1&after=x", "/api/jobs/{waiting}"),
    _query("after below zero", 400, "wait=1&after=-1", "/api/jobs/{waiting}"),
    _query("after of 19 digits", 400, "wait=1&after=" + "9" * 19, "/api/jobs/{waiting}"),
    _query("after of the past", 200, "wait=60&after=0", "/api/jobs/{waiting}"),
    _query("wait for nobody", 404, "wait=60", f"/api/jobs/{UNKNOWN}"),
    _query("redirect of one that waits", 200, "redirect=true", "/api/jobs/{waiting}"),
    _query("redirect of one that completed", 303, "redirect=TRUE", "/api/jobs/{done}"),
    _query("redirect elsewhere", 400, "redirect=https://evil.example", "/api/jobs/{done}"),
    _query("events after text", 400, "after=x", "/api/jobs/{waiting}/events"),
    _query("events after a fraction", 400, "after=1.0", "/api/jobs/{waiting}/events"),
    _query("a query of semicolons", 400, "a;b;c"),
    _query("a bare percent", 400, "%"),
)

HEADERS: Final = (
    _header("If-None-Match: nonsense", 200, "If-None-Match: nonsense"),
    _header("If-None-Match: empty", 200, "If-None-Match:"),
    _header("If-None-Match: a star", 304, "If-None-Match: *"),
    _header("If-None-Match: 2,000 tags", 200, "If-None-Match: " + '"x",' * 2_000),
    _header("If-None-Match: obs-text", 200, b'If-None-Match: "\xff"'),
    _header("If-Match is not spoken", 200, 'If-Match: "x"'),
    _header("Prefer on a read", 200, "Prefer: wait=60"),
    _header("Accept of another type", 200, "Accept: text/html"),
    _header("Accept: nonsense", 200, "Accept: ;;q=x"),
    _header("Authorization: nonsense", 401, b"Authorization: \xff"),
    _header("Cookie of 8,000", 200, "Cookie: " + "a=b;" * 2_000),
    _header("Origin: foreign", 403, "Origin: https://evil.example"),
    _header("Origin: null", 403, "Origin: null"),
    _header("Origin: empty", 403, "Origin:"),
    _header("Origin: half a bracket", 403, "Origin: http://[::1"),
    _header("Origin: almost ours", 403, "Origin: http://localhost.evil.example"),
    _header("Origin: another scheme", 403, "Origin: file://localhost"),
    _header("Origin: ours", 200, "Origin: http://localhost:3000"),
    _header("X-Forwarded-For says nothing", 200, "X-Forwarded-For: 10.0.0.1"),
    _header("X-HTTP-Method-Override says nothing", 200, "X-HTTP-Method-Override: DELETE"),
    _header("traceparent: nonsense", 200, "traceparent: nonsense"),
    _header(
        "Last-Event-ID: past the end", 204, "Last-Event-ID: 99", path="/api/jobs/{done}/events"
    ),
    _header("events of nobody", 404, "Last-Event-ID: 1", path=f"/api/jobs/{UNKNOWN}/events"),
    _header("events of one gone", 410, path="/api/jobs/{gone}/events"),
    _header("a socket without an upgrade", 426, path="/jobs/{waiting}"),
    *(
        Case(
            name=f"prefer: {value[:30]}",
            sent=post(b"{}", b"Prefer: " + value.encode("latin-1")),
            answers=(202,),
        )
        for value in (
            "wait=-1",
            "wait=abc",
            "wait=",
            "wait=0",
            "wait=1.5",
            "wait=9999999999",
            "wait=\xb2",
            "respond-async",
            "nobody=1;2;3",
            ",,,;;;",
            '"',
            "wait" * 2_000,
        )
    ),
    *(
        Case(
            name=f"traceparent: {value[:20]}",
            sent=post(b"{}", f"traceparent: {value}"),
            answers=(202,),
        )
        for value in (
            "00-0-0-0",
            "00-" + "0" * 32 + "-" + "0" * 16 + "-00",
            "ff-" + "1" * 32 + "-" + "1" * 16 + "-01",
            "00-" + "G" * 32 + "-" + "1" * 16 + "-01",
            "0" * 5_000,
        )
    ),
    _track("kept", b"a.b-C_9", kept=True),
    _track("of 64", b"t" * 64, kept=True),
    _track("of 65", b"t" * 65),
    _track("empty", b""),
    _track("a blank", b"a b"),
    _track("a header", b"a%0d%0aSet-Cookie: b"),
    _track("an escape sequence", b"a\tb"),
    _track("quotes", b'"a"'),
    _track("JSON", b'","level":"error'),
    _track("UTF-8", "é".encode()),
    _track("a script", b"<script>"),
    _track("8,000", b"t" * 8_000),
)
CASES: Final = (*_ids(), *STATES, *QUERIES, *HEADERS)
