"""Submit: what is taken, what is refused, and what is promised by a 202."""

import asyncio
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from shared.contract.ids import JobId, parse_uuid
from tests.front.desk import Desk, open_desk

ECHO = "/api/demo/echo"
JSON = {"Content-Type": "application/json"}


async def post(desk: Desk, path: str, body: Any = b"{}", **headers: str) -> tuple[int, Any, Any]:
    given = {"Content-Type": "application/json"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    async with desk.session.post(desk.url + path, data=data, headers=given) as response:
        return response.status, orjson.loads(await response.read()), response.headers


def stored(desk: Desk, content: dict[str, Any]) -> Any:
    job_id = parse_uuid(content["jobId"])
    assert job_id is not None
    return desk.store.submissions[JobId(job_id)]


async def test_a_submit_is_answered_with_a_ticket(desk: Desk) -> None:
    """The whole of the first contact: where to look, when to look, and under which name."""
    status, content, headers = await post(desk, ECHO, {"payload": 1}, X_Track_ID="t-1")

    assert status == 202
    assert content["status"] == "pending"
    assert content["statusUrl"] == f"/api/demo/status/{content['jobId']}"
    assert content["_links"]["socket"] == f"/jobs/{content['jobId']}"
    assert headers["Location"] == content["statusUrl"]
    assert headers["Retry-After"] == "1"
    assert headers["X-Track-ID"] == "t-1"
    assert stored(desk, content).track_id == "t-1"
    assert "Preference-Applied" not in headers
    assert "Idempotent-Replayed" not in headers


async def test_what_is_stored_is_what_was_sent(desk: Desk) -> None:
    """Members keep their order and values; ours are taken out."""
    body = {"payload": {"z": 1, "a": [1.5, None, "ü"]}, "job": {"tags": ["x"]}}
    _, content, _ = await post(desk, ECHO, body)

    assert stored(desk, content).request == orjson.dumps({"payload": body["payload"]})
    assert stored(desk, content).tags == ("x",)


async def test_a_preference_for_async_is_confirmed(desk: Desk) -> None:
    """RFC 7240: say which preference was honoured, and only if one was given."""
    _, _, headers = await post(desk, ECHO, Prefer="handling=lenient, respond-async")

    assert headers["Preference-Applied"] == "respond-async"


@pytest.mark.parametrize(
    "media",
    [
        "application/json",
        "text/plain",
        "application/json; charset=utf-8",
        "text/plain;charset=UTF-8",
    ],
)
async def test_json_is_taken_under_the_names_that_browsers_give_it(desk: Desk, media: str) -> None:
    """``fetch`` with a string body sends text/plain."""
    status, _, _ = await post(desk, ECHO, Content_Type=media)

    assert status == 202


async def test_json_is_taken_without_a_type(desk: Desk) -> None:
    """Small clients leave the header out."""
    skip = ["Content-Type"]
    async with desk.session.post(desk.url + ECHO, data=b"{}", skip_auto_headers=skip) as response:
        assert response.status == 202


@pytest.mark.parametrize(
    "media",
    [
        "application/xml",
        "application/x-www-form-urlencoded",
        "application/octet-stream",
        "application/json; charset=utf-16",
        "application/json; charset=utf-7",
        "nonsense",
    ],
)
async def test_other_media_types_are_refused(desk: Desk, media: str) -> None:
    """Guessing what bytes mean is how requests are misread."""
    status, content, _ = await post(desk, ECHO, Content_Type=media)

    assert (status, content["code"]) == (415, "unsupported_media_type")


async def test_a_packed_body_is_refused_unopened(desk: Desk) -> None:
    """A kilobyte of gzip may be a gigabyte of JSON."""
    status, _, _ = await post(desk, ECHO, b"\x1f\x8b broken", Content_Encoding="gzip")

    assert status == 415


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{} x",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1e999}',
        b'{"a": "\xff"}',
        rb'{"a": "\ud800"}',
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        b"[]",
        b"1",
        b'"text"',
        b"null",
    ],
)
async def test_what_is_no_json_object_is_malformed(desk: Desk, body: bytes) -> None:
    """400, never a 500, and nothing is kept."""
    status, content, _ = await post(desk, ECHO, body)

    assert (status, content["code"]) == (400, "malformed")
    assert not desk.store.views


async def test_an_unknown_type_is_not_found(desk: Desk) -> None:
    """The address says the type; there is none."""
    status, content, _ = await post(desk, "/api/demo/nothing")

    assert (status, content["code"]) == (404, "unknown_job_type")


async def test_mistakes_are_told_all_at_once_by_pointer(desk: Desk) -> None:
    """A client fixes them in one go, and sees none of its own input again."""
    body = {"lineCount": "secret", "nope": 1, "job": {"maxAttempts": 0}, "callbackUrl": "ftp://x"}
    status, content, _ = await post(desk, "/api/orders/fulfil", body)

    assert (status, content["code"]) == (422, "invalid")
    pointers = {mistake["pointer"] for mistake in content["errors"]}
    assert pointers == {"/lineCount", "/nope", "/job/maxAttempts", "/callbackUrl"}
    assert "secret" not in orjson.dumps(content).decode()


async def test_a_body_over_the_limit_is_too_large(desk: Desk) -> None:
    """Refused by its announced length, before it is read."""
    body = BytesIO(b'{"payload": "' + b"x" * 2**20 + b'"}')
    async with desk.session.post(desk.url + ECHO, data=body, headers=JSON) as response:
        assert (response.status, (await response.json())["code"]) == (413, "too_large")


async def test_a_type_says_what_the_caller_left_open(desk: Desk) -> None:
    """Key, pool, priority, attempts and what a failure does come from the type."""
    _, content, _ = await post(desk, "/api/orders/fulfil", {"orderId": "7"})

    submission = stored(desk, content)
    assert submission.ordering_key == "7"
    assert submission.blocks
    assert (submission.pool, submission.priority) == ("slow", "high")
    assert submission.max_attempts == 7


async def test_the_caller_may_say_otherwise(desk: Desk) -> None:
    """Options of the request win over the type's."""
    options = {"orderingKey": "k", "priority": "low", "maxAttempts": 2, "delaySeconds": 5}
    _, content, _ = await post(desk, "/api/orders/fulfil", {"job": options})

    submission = stored(desk, content)
    assert submission.ordering_key == "k"
    assert (submission.priority, submission.max_attempts) == ("low", 2)
    assert submission.delay is not None
    assert submission.delay.total_seconds() == 5


async def test_a_required_key_must_be_there(desk: Desk) -> None:
    """Without it the jobs of the type would have no order."""
    status, content, _ = await post(desk, "/api/orders/fulfil", {})

    assert status == 422
    assert content["errors"][0]["pointer"] == "/orderId"


async def test_a_202_does_not_wait_for_a_broker_that_is_down(desk: Desk) -> None:
    """The job is stored; the relay delivers what is left."""
    desk.post.answer = False

    status, _, _ = await post(desk, ECHO)

    assert status == 202


async def test_a_bug_in_publishing_takes_no_promise_back(desk: Desk) -> None:
    """After the commit nothing may turn the answer into an error."""
    desk.post.answer = RuntimeError("boom")

    status, content, _ = await post(desk, ECHO)

    assert status == 202
    assert stored(desk, content)


async def test_no_database_means_try_again(desk: Desk) -> None:
    """503 with a time to wait: the only case in which a good request is not taken."""
    desk.store.is_away = True

    status, content, headers = await post(desk, ECHO)

    assert (status, content["code"]) == (503, "unavailable")
    assert headers["Retry-After"] == "1"


async def test_a_bug_is_a_bare_500(desk: Desk) -> None:
    """No trace, no internals, and the TrackID to ask about."""
    status, content, headers = await post(desk, "/api/odd/break", {"value": 0})

    assert (status, content["code"]) == (500, "internal_error")
    assert content["trackId"] == headers["X-Track-ID"]
    assert "ZeroDivision" not in orjson.dumps(content).decode()


async def test_a_traceparent_travels_along(desk: Desk) -> None:
    """What traces the caller's request traces the job; what is none is left out."""
    good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    _, taken, _ = await post(desk, ECHO, traceparent=good)
    _, dropped, _ = await post(desk, ECHO, traceparent="00-zz")

    assert stored(desk, taken).traceparent == good
    assert stored(desk, dropped).traceparent is None


class TestIdempotency:
    async def test_the_same_request_gets_the_same_job(self, desk: Desk) -> None:
        """However its members are ordered, and however often it is sent."""
        first, one, _ = await post(desk, ECHO, b'{"payload":1,"job":{}}', Idempotency_Key="k")
        again, two, headers = await post(desk, ECHO, b'{"job":{},"payload":1}', Idempotency_Key="k")

        assert (first, again) == (202, 202)
        assert one["jobId"] == two["jobId"]
        assert headers["Idempotent-Replayed"] == "true"
        assert len(desk.store.views) == 1

    async def test_a_replay_tells_the_present_status(self, desk: Desk) -> None:
        """A client that retries hours later learns that it is done."""
        _, one, _ = await post(desk, ECHO, Idempotency_Key="k")
        await desk.session.delete(f"{desk.url}/api/jobs/{one['jobId']}")

        _, two, _ = await post(desk, ECHO, Idempotency_Key="k")

        assert two["status"] == "cancelled"

    async def test_another_request_under_the_same_key_is_refused(self, desk: Desk) -> None:
        """Answering with the first job would lose the second request."""
        await post(desk, ECHO, {"payload": 1}, Idempotency_Key="k")

        status, content, _ = await post(desk, ECHO, {"payload": 2}, Idempotency_Key="k")

        assert (status, content["code"]) == (422, "idempotency_mismatch")

    async def test_the_same_body_for_another_type_is_another_request(self, desk: Desk) -> None:
        """The address is part of what was asked."""
        await post(desk, ECHO, {"job": {"orderingKey": "k"}}, Idempotency_Key="k")

        status, _, _ = await post(
            desk, "/api/orders/fulfil", {"job": {"orderingKey": "k"}}, Idempotency_Key="k"
        )

        assert status == 422

    @pytest.mark.parametrize("key", ["", "x" * 256, "ü"])
    async def test_a_key_must_be_printable_ascii(self, desk: Desk, key: str) -> None:
        """What cannot be a key is said, not ignored: the client relies on it."""
        status, _, _ = await post(desk, ECHO, Idempotency_Key=key)

        assert status == 400

    async def test_a_refused_request_keeps_no_key(self, desk: Desk) -> None:
        """The client corrects its request and sends it under the same key."""
        await post(desk, ECHO, {"nope": 1}, Idempotency_Key="k")

        status, _, _ = await post(desk, ECHO, {"payload": 1}, Idempotency_Key="k")

        assert status == 202


class TestFiles:
    async def test_files_come_along_in_one_request(self, desk: Desk) -> None:
        """A part named like a member becomes its value, whatever the order of the parts."""
        form = _form({"document": b"first", "pages": b"second"}, {}, last="request")
        form_pages = _form({"document": b"d"}, {})
        async with desk.session.post(desk.url + "/api/scans/read", data=form_pages) as response:
            content = await response.json()
            assert response.status == 202, content
        async with desk.session.post(desk.url + "/api/scans/read", data=form) as response:
            assert response.status == 422  # pages is a list, one file is not

        request = orjson.loads(stored(desk, content).request)
        blob_id = stored(desk, content).blobs[0]
        assert request["document"] == f"blob:{blob_id}"
        assert desk.store.blobs[blob_id].size_bytes == 1

    async def test_several_files_of_one_name_become_a_list(self, desk: Desk) -> None:
        """As a form with a multiple file input sends them."""
        form = _form({"document": b"d"}, {})
        form.add_field("pages", b"1", filename="1.png")
        form.add_field("pages", b"2", filename="2.png")
        async with desk.session.post(desk.url + "/api/scans/read", data=form) as response:
            content = await response.json()
            assert response.status == 202, content

        assert len(orjson.loads(stored(desk, content).request)["pages"]) == 2

    async def test_the_same_files_are_the_same_request(self, desk: Desk) -> None:
        """A retry uploads again and gets new blobs, but it is the same request."""
        tickets = []
        for _ in range(2):
            async with desk.session.post(
                desk.url + "/api/scans/read",
                data=_form({"document": b"same"}, {}),
                headers={"Idempotency-Key": "k"},
            ) as response:
                tickets.append((await response.json())["jobId"])

        assert tickets[0] == tickets[1]

    async def test_a_blob_nobody_knows_is_told_by_pointer(self, desk: Desk) -> None:
        """Accepted, the job could only fail."""
        reference = "blob:0193e1a0-0000-7000-8000-000000000000"
        body = {"document": "https://example.org/a.pdf", "pages": [reference]}
        status, content, _ = await post(desk, "/api/scans/read", body)

        assert status == 422
        assert content["errors"][0]["pointer"] == "/pages/0"

    async def test_a_form_without_a_request_is_malformed(self, desk: Desk) -> None:
        """The file alone does not say what is asked."""
        form = _form({"document": b"d"}, None)
        async with desk.session.post(desk.url + "/api/scans/read", data=form) as response:
            assert response.status == 400

    async def test_a_file_that_no_member_names_is_refused(self, desk: Desk) -> None:
        """It would be stored and never looked at."""
        form = _form({"payload": b"d"}, {})
        async with desk.session.post(desk.url + ECHO, data=form) as response:
            content = await response.json()

        assert (response.status, content["errors"][0]["pointer"]) == (422, "/payload")


async def test_many_submits_at_once_get_a_job_each(desk: Desk) -> None:
    """No state is shared between requests that arrive together."""
    answers = await asyncio.gather(
        *(post(desk, ECHO, {"payload": n}, X_Track_ID=f"t-{n}") for n in range(50))
    )

    for n, (status, content, headers) in enumerate(answers):
        assert status == 202
        assert headers["X-Track-ID"] == f"t-{n}"
        assert orjson.loads(stored(desk, content).request) == {"payload": n}


def _form(files: dict[str, bytes], request: object, last: str = "") -> Any:
    form = aiohttp.FormData()
    if request is not None and last != "request":
        form.add_field("request", orjson.dumps(request).decode(), content_type="application/json")
    for name, body in files.items():
        form.add_field(name, body, filename=f"{name}.bin")
    if request is not None and last == "request":
        form.add_field("request", orjson.dumps(request).decode(), content_type="application/json")
    return form


async def test_where_files_may_be_fetched_from_is_a_setting(tmp_path: Path) -> None:
    """The front knows what the back would refuse, and what it would not."""
    asked = {"document": "http://files.example/a.pdf"}
    async with open_desk(tmp_path / "shut") as desk:
        status, content, _ = await post(desk, "/api/scans/read", asked)
        assert (status, content["errors"][0]["pointer"]) == (422, "/document")
    async with open_desk(tmp_path / "open", egress_ports=(80, 443)) as desk:
        assert (await post(desk, "/api/scans/read", asked))[0] == 202
