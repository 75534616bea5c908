"""Handing in a job: one call is one job, whatever the network does in between."""

import asyncio
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from shared.contract.errors import (
    IdempotencyMismatch,
    Invalid,
    OverQuota,
    Unavailable,
    UnknownType,
)
from tests.client.conftest import Opens
from tests.client.desk import Desk, Reply, answers, is_cut, refuses, stalls
from tests.client.stated import StatedClock
from uketsuke import Priority
from uketsuke.client import Client
from uketsuke.errors import BadAnswer, OtherProblem, Unreachable
from uketsuke.patience import Pace
from uketsuke.uploads import Files


def keys(desk: Desk) -> list[str]:
    return [seen.headers["Idempotency-Key"] for seen in desk.of("POST")]


async def test_a_submit_answers_the_ticket(desk: Desk, client: Client) -> None:
    """The caller learns the id and every address from it, and which key named the request."""
    ticket = await client.submit("demo.echo", {"payload": 1})

    assert ticket.status == "pending"
    assert ticket.queue_position == 3
    assert client.address(ticket.status_url) == f"{desk.url}/api/demo/status/{ticket.job_id}"
    assert ticket.track_id == "track-1"
    assert [ticket.idempotency_key] == keys(desk)
    assert ticket.document["_links"]["socket"] == f"/jobs/{ticket.job_id}"


async def test_the_request_and_every_wish_travel_as_the_contract_says(
    desk: Desk, client: Client
) -> None:
    """Members of the request stand on top; ours are ``callbackUrl`` and ``job``."""
    await client.submit(
        "demo.echo",
        {"payload": "é"},
        ordering_key="order-7",
        priority=Priority.HIGH,
        delay=timedelta(seconds=90),
        start_deadline=datetime(2030, 1, 1, 12, tzinfo=timezone(timedelta(hours=2))),
        deadline=datetime(2030, 1, 2, tzinfo=UTC),
        max_attempts=2,
        result_ttl=timedelta(hours=1),
        tags=["a", "b"],
        callback_url="https://example.org/hook",
        callback_events=["completed"],
    )

    assert desk.seen[0].path == "/api/demo/echo"
    assert desk.seen[0].document == {
        "payload": "é",
        "callbackUrl": "https://example.org/hook",
        "job": {
            "orderingKey": "order-7",
            "priority": "high",
            "delaySeconds": 90.0,
            "startDeadline": "2030-01-01T10:00:00Z",
            "deadline": "2030-01-02T00:00:00Z",
            "maxAttempts": 2,
            "resultTtlSeconds": 3600,
            "tags": ["a", "b"],
            "callbackEvents": ["completed"],
        },
    }


async def test_a_request_may_be_a_model(desk: Desk, client: Client) -> None:
    """Whoever has the job type's own model need not spell its members again."""

    class Request(BaseModel):
        model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)

        file_url: str

    await client.submit("demo.echo", Request(file_url="https://example.org/a"))

    assert desk.seen[0].document == {"fileUrl": "https://example.org/a"}


async def test_token_and_track_id_go_along(desk: Desk, open_client: Opens) -> None:
    """The caller is known, and its request can be followed through both services."""
    client = await open_client(token="secret", track_id="order-7.a")

    await client.submit("demo.echo", {})

    assert desk.seen[0].headers["Authorization"] == "Bearer secret"
    assert desk.seen[0].headers["X-Track-ID"] == "order-7.a"


async def test_two_calls_are_two_jobs(desk: Desk, client: Client) -> None:
    """A key of its own a call: nobody gets another call's job by accident."""
    await client.submit("demo.echo", {})
    await client.submit("demo.echo", {})

    assert len(set(keys(desk))) == 2


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(is_cut, id="connection dropped"),
        pytest.param(refuses(503, "unavailable"), id="unavailable"),
        pytest.param(refuses(429, "over_quota"), id="over quota"),
        pytest.param(refuses(409, "idempotency_undecided"), id="first try undecided"),
        pytest.param(answers(502, "<html>bad gateway</html>"), id="a proxy's page"),
        pytest.param(answers(504), id="a proxy's silence"),
    ],
)
async def test_trouble_that_may_pass_is_tried_again_with_the_same_key(
    desk: Desk, client: Client, trouble: Reply
) -> None:
    """The service sees one request, however often the network shows it."""
    desk.script["submit"].extend([trouble, trouble])

    ticket = await client.submit("demo.echo", {"payload": 1})

    assert keys(desk) == [ticket.idempotency_key] * 3
    assert len({seen.body for seen in desk.seen}) == 1


async def test_a_server_that_stalls_is_asked_again(desk: Desk, open_client: Opens) -> None:
    """Silence is trouble too: nobody waits for ever for a 202."""
    client = await open_client(pace=Pace(silence=timedelta(milliseconds=50)))
    desk.script["submit"].append(stalls)

    ticket = await client.submit("demo.echo", {})

    assert keys(desk) == [ticket.idempotency_key] * 2


async def test_the_callers_own_key_is_used_and_a_replay_is_told(desk: Desk, client: Client) -> None:
    """A caller that keeps its key across restarts learns that the job was there already."""
    job = {"jobId": "0193aaaa-0000-7000-8000-000000000000", "status": "completed"}
    document = job | {"statusUrl": "/api/demo/status/x"}
    desk.script["submit"].append(answers(202, document, Idempotent_Replayed="true"))

    ticket = await client.submit("demo.echo", {}, idempotency_key="order-7")

    assert keys(desk) == ["order-7"]
    assert ticket.replayed
    assert ticket.status == "completed"


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        (refuses(422, "invalid", errors=[{"pointer": "/n", "detail": "is odd"}]), Invalid),
        (refuses(422, "idempotency_mismatch"), IdempotencyMismatch),
        (refuses(404, "unknown_job_type"), UnknownType),
        (answers(404, "nothing here"), UnknownType),
        (refuses(500, "error"), OtherProblem),
    ],
)
async def test_a_refusal_is_raised_at_once(
    desk: Desk, client: Client, refusal: Reply, error: type[Exception]
) -> None:
    """What cannot get better by itself is not tried again."""
    desk.script["submit"].append(refusal)

    with pytest.raises(error):
        await client.submit("demo.echo", {})

    assert len(desk.seen) == 1


async def test_patience_has_an_end(desk: Desk, client: Client, clock: StatedClock) -> None:
    """A service that is down for good is an error within the time that the caller gave."""
    desk.script["submit"].extend([refuses(503, "unavailable")] * 100)

    with pytest.raises(Unavailable):
        await client.submit("demo.echo", {}, patience=timedelta(seconds=20))

    assert 10 < clock.slept <= 20


async def test_retry_after_is_obeyed(desk: Desk, client: Client, clock: StatedClock) -> None:
    """The service knows best when it will have room."""
    desk.script["submit"].append(refuses(429, "over_quota", retry_after=17))

    await client.submit("demo.echo", {})

    assert clock.pauses == [17]


async def test_a_retry_after_beyond_patience_is_no_wait_at_all(
    desk: Desk, client: Client, clock: StatedClock
) -> None:
    """Waiting for nothing helps nobody: the caller hears it now."""
    desk.script["submit"].append(refuses(429, "over_quota", retry_after=3_600))

    with pytest.raises(OverQuota) as refused:
        await client.submit("demo.echo", {})

    assert refused.value.retry_after == 3_600
    assert clock.pauses == []


async def test_nobody_there_is_unreachable(open_client: Opens, unused_tcp_port: int) -> None:
    """It is a ConnectionError too, and says where nobody was."""
    client = await open_client(f"http://127.0.0.1:{unused_tcp_port}")

    with pytest.raises(
        ConnectionError, match=f"{unused_tcp_port}: Connection refused"
    ) as unreachable:
        await client.submit("demo.echo", {}, patience=timedelta(seconds=3))

    assert isinstance(unreachable.value, Unreachable)


async def test_a_submit_follows_no_redirect(desk: Desk, client: Client) -> None:
    """A request with its files and token goes where the caller said, or nowhere."""
    desk.script["submit"].append(answers(307, Location="/api/other/place"))

    with pytest.raises(BadAnswer, match="is the URL right"):
        await client.submit("demo.echo", {})

    assert len(desk.seen) == 1


@pytest.mark.parametrize(
    ("job_type", "request_", "wishes", "error"),
    [
        ("echo", {}, {}, UnknownType),
        ("a.b.c", {}, {}, UnknownType),
        ("demo.echo", {"job": {}}, {}, Invalid),
        ("demo.echo", {"callbackUrl": ""}, {}, Invalid),
        ("demo.echo", {"payload": {1, 2}}, {}, Invalid),
        ("demo.echo", {}, {"run_at": datetime(2030, 1, 1)}, ValueError),  # noqa: DTZ001  # the case
        ("demo.echo", {}, {"files": {"f": Path("no/such/file")}}, FileNotFoundError),
    ],
)
async def test_a_callers_mistake_sends_nothing(
    desk: Desk,
    client: Client,
    *,
    job_type: str,
    request_: dict[str, Any],
    wishes: dict[str, Any],
    error: type[Exception],
) -> None:
    """What is wrong here is said here."""
    with pytest.raises(error):
        await client.submit(job_type, request_, **wishes)

    assert desk.seen == []


async def test_files_are_streamed_as_parts(desk: Desk, client: Client, tmp_path: Path) -> None:
    """A path, bytes, an open file and a stream all arrive whole, each under its member."""
    path = tmp_path / "scan.pdf"
    path.write_bytes(b"p" * 300_000)

    async def stream() -> AsyncIterator[bytes]:
        yield b"s1"
        yield b"s2"

    files: Files = {
        "a": path,
        "b": b"b" * 200_000,
        "c": stream(),
        "d": [io.BytesIO(b"open")],
    }
    await client.submit("demo.echo", {"payload": 1}, files=files)

    parts = desk.seen[0].parts
    assert desk.seen[0].document == {"payload": 1}
    assert parts["a"] == ("scan.pdf", b"p" * 300_000)
    assert parts["b"] == ("b", b"b" * 200_000)
    assert parts["c"][1] == b"s1s2"
    assert parts["d"][1] == b"open"


async def test_a_path_is_sent_again_whole(desk: Desk, client: Client, tmp_path: Path) -> None:
    """A retry starts the file from its beginning."""
    path = tmp_path / "scan.pdf"
    path.write_bytes(b"p" * 300_000)

    async def reads_and_refuses(request: web.Request) -> web.StreamResponse:
        await desk.take_parts(request)
        return web.Response(status=503)

    desk.script["submit"].append(reads_and_refuses)
    await client.submit("demo.echo", {}, files={"a": path})

    assert [len(seen.parts["a"][1]) for seen in desk.seen] == [300_000, 300_000]
    assert len(set(keys(desk))) == 1


async def test_a_stream_is_not_sent_twice(desk: Desk, client: Client) -> None:
    """Half a stream must never pass for the whole of it."""
    desk.script["submit"].append(refuses(503, "unavailable"))

    with pytest.raises(Unavailable):
        await client.submit("demo.echo", {}, files={"a": io.BytesIO(b"once")})

    assert [seen for seen in desk.seen if seen.parts] == []


async def test_a_hundred_submits_at_once_share_one_client(desk: Desk, client: Client) -> None:
    """One client serves a whole program."""
    tickets = await asyncio.gather(*(client.submit("demo.echo", {"n": n}) for n in range(100)))

    assert len({ticket.job_id for ticket in tickets}) == 100
    assert len(set(keys(desk))) == 100
