"""Many submissions at once: each answered in its place, and the whole followed by one id."""

import asyncio
from io import BytesIO
from typing import Any

import aiohttp
import orjson
import pytest

from shared.contract.ids import BatchId, JobId, parse_uuid
from shared.contract.states import State
from tests.front.desk import Desk

BATCHES = "/api/batches"
LINES = {"Content_Type": "application/x-ndjson"}


def echo(payload: Any = None, **members: Any) -> dict[str, Any]:
    return {"type": "demo.echo", "request": {"payload": payload}, **members}


def lines(*entries: Any) -> bytes:
    return b"\n".join(one if isinstance(one, bytes) else orjson.dumps(one) for one in entries)


async def post(desk: Desk, path: str, body: Any, **headers: str) -> tuple[int, Any, Any]:
    data = BytesIO(body if isinstance(body, bytes) else orjson.dumps(body))
    given = {"Content-Type": "application/json"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    async with desk.session.post(desk.url + path, data=data, headers=given) as response:
        return response.status, orjson.loads(await response.read()), response.headers


async def get(desk: Desk, path: str) -> tuple[int, Any]:
    async with desk.session.get(desk.url + path) as response:
        return response.status, orjson.loads(await response.read())


async def hand_in(desk: Desk, *entries: Any, **members: Any) -> dict[str, Any]:
    status, content, _ = await post(desk, BATCHES, {"jobs": entries, **members})
    assert status == 202, content
    return dict(content)


def codes(content: dict[str, Any]) -> list[str | None]:
    """Name the problem at each place; ``None`` where there is none."""
    return [one["problem"]["code"] if "problem" in one else None for one in content["jobs"]]


def end(desk: Desk, content: dict[str, Any], *places: int) -> None:
    """Do what workers do: complete some jobs of a batch, and say so on the air."""
    for place in places:
        job_id = parse_uuid(content["jobs"][place]["jobId"])
        assert job_id is not None
        desk.store.move(JobId(job_id), State.RUNNING)
        desk.store.move(JobId(job_id), State.COMPLETED)
    batch_id = parse_uuid(content["batchId"])
    assert batch_id is not None
    desk.air.offer(desk.batches.news(BatchId(batch_id)))


async def test_every_submission_is_answered_in_its_place(desk: Desk) -> None:
    """A ticket each, as of a submit, and one for the whole."""
    status, content, headers = await post(desk, BATCHES, {"jobs": [echo(1), echo(2)]})

    assert status == 202
    assert headers["Location"] == content["statusUrl"] == f"/api/batches/{content['batchId']}"
    assert (content["accepted"], content["refused"]) == (2, 0)
    stored = [desk.store.submissions[JobId(parse_uuid(t["jobId"]))] for t in content["jobs"]]  # type: ignore[arg-type]
    assert [orjson.loads(one.request) for one in stored] == [{"payload": 1}, {"payload": 2}]
    assert {str(one.batch) for one in stored} == {content["batchId"]}
    assert all(t["statusUrl"].endswith(t["jobId"]) for t in content["jobs"])


async def test_what_is_wrong_with_one_is_told_in_its_place(desk: Desk) -> None:
    """The others are jobs; pointers lead from the submission's own root."""
    content = await hand_in(
        desk,
        echo(1),
        {"type": "no.such"},
        {"type": "orders.fulfil", "request": {"orderId": "7", "lineCount": 11}},
        echo(job={"maxAttempts": 0}),
        echo(colour="red"),
        7,
        echo("\0"),
        {"type": "demo.echo", "request": {"job": {}}},
        {"type": "odd.break", "request": {"value": 0}},
    )

    assert codes(content) == [
        None,
        "unknown_job_type",
        *["invalid"] * 3,
        "malformed",
        *["invalid"] * 2,
        "internal_error",
    ]
    pointers = [
        one["problem"]["errors"][0]["pointer"]
        for one in content["jobs"]
        if "errors" in one.get("problem", {})
    ]
    assert pointers == [
        "/request/lineCount",
        "/job/maxAttempts",
        "/colour",
        "/request/payload",
        "/request/job",
    ]
    assert len(desk.store.views) == 1


async def test_an_atomic_batch_is_all_or_nothing(desk: Desk) -> None:
    """One mistake, and no job; it says where the mistake is."""
    status, content, _ = await post(
        desk, BATCHES, {"jobs": [echo(1), {"type": "no.such"}], "atomic": True}
    )

    assert (status, content["code"]) == (422, "batch_refused")
    assert codes(content) == [None, "unknown_job_type"]
    assert desk.store.views == {}


async def test_a_batch_of_mistakes_only_is_refused(desk: Desk) -> None:
    """There is nothing whose status one could ask for."""
    status, content, _ = await post(desk, BATCHES, {"jobs": [{"type": "no.such"}]})

    assert (status, content["code"]) == (422, "batch_refused")


async def test_lines_are_taken_one_by_one(desk: Desk) -> None:
    """A line that is no JSON, too large or doubled spoils itself alone."""
    big = echo("x" * 2**20)
    body = lines(echo(1), b'{"type": "demo.echo"', b"", big, b'{"type":"demo.echo","type":"x"}')

    status, content, _ = await post(desk, BATCHES, body, **LINES)

    assert status == 202
    assert codes(content) == [None, "malformed", "too_large", "invalid"]


async def test_lines_may_be_atomic_too(desk: Desk) -> None:
    """They have no document around them to say so in."""
    body = lines(echo(1), b"{")

    status, _, _ = await post(desk, BATCHES + "?atomic=true", body, **LINES)
    wrong, _, _ = await post(desk, BATCHES + "?atomic=perhaps", body, **LINES)

    assert (status, wrong) == (422, 400)
    assert desk.store.views == {}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b"{}", 422),
        (b'{"jobs": []}', 422),
        (b'{"jobs": {}}', 422),
        (b'{"jobs": [{"type": "demo.echo"}], "atomic": "yes"}', 422),
        (b'{"jobs": [{"type": "demo.echo"}], "more": 1}', 422),
        (b'{"jobs": [{"type": "demo.echo"}], "jobs": [{"type": "demo.echo"}]}', 422),
        (b'{"jobs": [{"type": "demo.echo", "type": "demo.echo"}]}', 422),
        (b'{"jobs": [{"type": "demo.echo", "request": {"payload": 9007199254740993}}]}', 422),
        (
            b'{"jobs": [{"type": "demo.echo", "request": {"payload": '
            + b"[" * 500
            + b"]" * 500
            + b"}}]}",
            422,
        ),
        (b'{"jobs": [' + b"[]," * 200_001 + b"[]]}", 422),
        (orjson.dumps({"jobs": [echo()] * 1_001}), 413),
        (b'{"jobs": ["' + b"x" * 9 * 2**20 + b'"]}', 413),
    ],
    ids=lambda value: repr(value)[:60],
)
async def test_a_document_that_is_none_is_refused_whole(
    desk: Desk, body: bytes, status: int
) -> None:
    """Nothing is kept of it, and the next request is served."""
    answered, _, _ = await post(desk, BATCHES, body)

    assert answered == status
    assert desk.store.views == {}
    assert await hand_in(desk, echo())


async def test_a_text_may_hold_what_a_document_may_not(desk: Desk) -> None:
    """Colons, quotes and long numbers inside of strings are no members and no numbers."""
    content = await hand_in(desk, echo('a "b": 12345678901234567890, \\ {'), echo(1.5))

    assert codes(content) == [None, None]


@pytest.mark.parametrize("media", ["multipart/form-data; boundary=x", "text/csv"])
async def test_other_media_types_are_refused(desk: Desk, media: str) -> None:
    """A batch has no place for files: they are uploaded before."""
    status, _, _ = await post(desk, BATCHES, b"x", Content_Type=media)

    assert status == 415


async def test_a_batch_is_one_request_by_its_name(desk: Desk) -> None:
    """The same bytes again are the same batch, and its jobs tell how they are now."""
    body = orjson.dumps({"jobs": [echo(1), {"type": "no.such"}]})
    _, first, _ = await post(desk, BATCHES, body, Idempotency_Key="k")
    end(desk, first, 0)

    status, again, headers = await post(desk, BATCHES, body, Idempotency_Key="k")

    assert (status, headers["Idempotent-Replayed"]) == (202, "true")
    assert (again["batchId"], again["status"]) == (first["batchId"], "completed")
    assert again["jobs"][0]["status"] == "completed"
    assert again["jobs"][1] == first["jobs"][1]
    assert len(desk.store.views) == 1


async def test_another_batch_by_the_same_name_is_refused(desk: Desk) -> None:
    """As with single submits."""
    await post(desk, BATCHES, {"jobs": [echo(1)]}, Idempotency_Key="k")

    status, content, _ = await post(desk, BATCHES, {"jobs": [echo(2)]}, Idempotency_Key="k")

    assert (status, content["code"]) == (422, "idempotency_mismatch")


async def test_a_batch_tells_how_far_it_is(desk: Desk) -> None:
    """By one address, however many jobs it has."""
    content = await hand_in(desk, echo(1), echo(2), {"type": "no.such"})
    end(desk, content, 0)

    status, document = await get(desk, content["statusUrl"])

    assert status == 200
    assert (document["status"], document["progress"]) == ("processing", 50)
    assert (document["total"], document["refused"]) == (2, 1)
    assert document["counts"]["completed"] == document["counts"]["pending"] == 1
    assert "completedAt" not in document


@pytest.mark.parametrize("name", ["00000000-0000-7000-8000-000000000000", "nonsense"])
async def test_an_unknown_batch_is_not_found(desk: Desk, name: str) -> None:
    """By any of its addresses."""
    paths = (f"/api/batches/{name}", f"/api/batches/{name}/events")

    answers = [await get(desk, path) for path in paths]

    assert [(status, content["code"]) for status, content in answers] == [
        (404, "unknown_batch")
    ] * 2
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await desk.session.ws_connect(f"{desk.url}/batches/{name}")
    assert refused.value.status == 404


async def told(response: aiohttp.ClientResponse) -> dict[str, str]:
    """Read the next event of a stream, past its preface."""
    while True:
        block = (await response.content.readuntil(b"\n\n")).decode().strip()
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        if "data" in fields:
            return fields


async def test_a_stream_tells_progress_and_ends_with_the_ending(desk: Desk) -> None:
    """Only the two events have a number to resume from."""
    content = await hand_in(desk, echo(1), echo(2))
    async with (
        asyncio.timeout(10),
        desk.session.get(desk.url + content["_links"]["events"]) as response,
    ):
        first = await told(response)
        end(desk, content, 0)
        second = await told(response)
        end(desk, content, 1)
        last = await told(response)
        rest = await response.content.read()

    assert [one.get("id") for one in (first, second, last)] == ["1", None, "2"]
    documents = [orjson.loads(one["data"]) for one in (first, second, last)]
    assert [one["progress"] for one in documents] == [0, 50, 100]
    assert [one["event"] for one in documents] == [*["batch.progress"] * 2, "batch.completed"]
    assert rest == b""


async def test_a_stream_that_was_seen_to_its_end_is_not_told_again(desk: Desk) -> None:
    """204 is what makes an ``EventSource`` stop asking."""
    content = await hand_in(desk, echo(1))
    end(desk, content, 0)

    async with desk.session.get(
        desk.url + content["_links"]["events"], headers={"Last-Event-ID": "2"}
    ) as response:
        assert response.status == 204


async def test_a_socket_opened_after_the_end_gets_the_ending(desk: Desk) -> None:
    """And is closed with 1000."""
    content = await hand_in(desk, echo(1))
    end(desk, content, 0)

    async with desk.session.ws_connect(desk.url + content["_links"]["socket"]) as socket:
        frame = orjson.loads(await socket.receive_str(timeout=10))
        closing = await socket.receive(timeout=10)

    assert (frame["event"], frame["sequence"]) == ("batch.completed", 2)
    assert closing.data == 1000


async def test_watchers_are_sent_away_when_the_replica_stops(desk: Desk) -> None:
    """1012: another one knows as much."""
    content = await hand_in(desk, echo(1))

    async with desk.session.ws_connect(desk.url + content["_links"]["socket"]) as socket:
        await socket.receive_str(timeout=10)
        desk.stop.set()
        closing = await socket.receive(timeout=10)

    assert closing.data == 1012
