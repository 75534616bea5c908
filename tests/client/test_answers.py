"""What comes back from a server: an answer, the error it names, or one clear ``BadAnswer``."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web

from shared.contract import errors as contract
from shared.contract.errors import (
    AlreadyEnded,
    Gone,
    Invalid,
    NoResult,
    NotReplayable,
    Refusal,
    TooLarge,
    UketsukeError,
    Unavailable,
    UnknownJob,
)
from tests.client.conftest import Opens
from tests.client.desk import Desk, Reply, answers, drips, is_cut, refuses
from tests.client.documents import a_history, a_job_id, a_status
from tests.client.stated import StatedClock
from uketsuke.client import Client
from uketsuke.errors import BadAnswer, OtherProblem, Unreachable, from_answer
from uketsuke.patience import Pace, SystemClock

KINDS = [
    kind
    for kind in vars(contract).values()
    if isinstance(kind, type) and issubclass(kind, UketsukeError)
]


@pytest.mark.parametrize("kind", [k for k in KINDS if k not in (UketsukeError, Refusal)])
async def test_every_error_of_the_contract_comes_back_as_itself(kind: type[UketsukeError]) -> None:
    """What the server raises is what the caller catches, by the code alone."""
    error = from_answer(kind.status, {"code": kind.code, "detail": "so it is"}, retry_after=3)

    assert type(error) is kind
    assert "so it is" in str(error)


async def test_what_a_problem_says_beyond_its_text_is_kept(desk: Desk, client: Client) -> None:
    """Pointers to what is wrong, the status of an ended job, the TrackID to ask support with."""
    faults = [{"pointer": "/fileUrl", "detail": "must be an address"}]
    desk.script["submit"].append(refuses(422, "invalid", errors=faults))

    with pytest.raises(Invalid, match="/fileUrl: must be an address") as refused:
        await client.submit("demo.echo", {})

    assert refused.value.members["errors"] == faults
    assert refused.value.__notes__ == ["TrackID track-9"]


async def test_an_unknown_code_is_told_with_its_status(desk: Desk, client: Client) -> None:
    """A newer server's refusal is an error of ours that hides nothing."""
    job_id = desk.tells(*a_history())
    desk.script["status"].append(refuses(418, "teapot", shape="round"))

    with pytest.raises(UketsukeError, match=r"it is teapot \(teapot, HTTP 418\)") as refused:
        await client.status(job_id)

    assert isinstance(refused.value, OtherProblem)
    assert refused.value.problem["shape"] == "round"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (answers(404, "<html>"), UnknownJob),
        (answers(410, "<html>"), Gone),
        (answers(413, "<html>"), TooLarge),
        (answers(403, "<html>"), OtherProblem),
        (answers(500, "<html>"), OtherProblem),
        (answers(404, [1]), UnknownJob),
        (answers(404, {"code": 7, "detail": 8}), UnknownJob),
        (answers(422, {"code": "invalid", "errors": [7, {"pointer": 1}]}), Invalid),
        (answers(409, {"code": "already_ended", "job": 7}), AlreadyEnded),
    ],
)
async def test_a_refusal_without_a_problem_document_goes_by_its_status(
    desk: Desk, client: Client, answer: Reply, error: type[Exception]
) -> None:
    """A proxy's page, or a mistyped document, still becomes the nearest error."""
    job_id = desk.tells(*a_history())
    desk.script["status"].append(answer)

    with pytest.raises(error):
        await client.status(job_id)


async def test_text_of_a_server_cannot_paint_a_terminal(desk: Desk, client: Client) -> None:
    """No escape sequence, no line break, not without end."""
    job_id = desk.tells(*a_history())
    loud = {"code": "gone", "detail": "\x1b[31mred\r\n\x07" + "x" * 10_000}
    desk.script["status"].append(answers(410, loud))

    with pytest.raises(Gone) as refused:
        await client.status(job_id)

    assert str(refused.value).isprintable()
    assert len(str(refused.value)) <= 500


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(answers(200, "<html>hello"), "not JSON: '<html>hello'", id="a page"),
        pytest.param(answers(200), "not JSON", id="nothing"),
        pytest.param(answers(200, "[1]"), "no JSON object", id="an array"),
        pytest.param(answers(200, "[" * 5_000), "not JSON", id="endless nesting"),
        pytest.param(answers(200, b"\xff\xfe"), "not JSON", id="no UTF-8"),
        pytest.param(answers(200, '{"jobId": NaN}'), "not JSON", id="NaN"),
        pytest.param(answers(200, {"status": "completed"}), "jobId", id="no id"),
        pytest.param(answers(200, {"jobId": "1", "status": "x"}), "jobId", id="no uuid"),
        pytest.param(answers(200, a_status(a_job_id(), 1)), "told of", id="another job"),
        pytest.param(answers(302), "redirect to nowhere", id="no location"),
        pytest.param(answers(302, Location="file:///etc/passwd"), "address", id="a file"),
        pytest.param(answers(302, Location="http://192.0.2.1/"), "URL right", id="elsewhere"),
        pytest.param(answers(302, Location="//192.0.2.1/x"), "URL right", id="elsewhere, hidden"),
    ],
)
async def test_an_answer_that_is_none_is_one_clear_error(
    desk: Desk, client: Client, answer: Reply, said: str
) -> None:
    """It says what is wrong with whatever answered there, and is not tried again."""
    job_id = desk.tells(*a_history())
    desk.script["status"].append(answer)

    with pytest.raises(BadAnswer, match=said):
        await client.status(job_id)

    assert len(desk.seen) == 1


async def test_endless_redirects_come_to_an_end(desk: Desk, client: Client) -> None:
    """A server that sends in circles is left after five."""
    job_id = desk.tells(*a_history())
    desk.script["status"].extend([answers(303, Location=f"/api/jobs/{job_id}")] * 50)

    with pytest.raises(BadAnswer, match="redirects more than 5 times"):
        await client.status(job_id)

    assert len(desk.seen) == 6


@pytest.mark.parametrize("packed", [False, True])
async def test_an_endless_answer_is_cut(desk: Desk, client: Client, *, packed: bool) -> None:
    """32 MiB is enough for every document there is; a bomb of zeros is measured unpacked."""
    job_id = desk.tells(*a_history())
    bomb = b" " * (40 * 1024 * 1024)
    body = gzip.compress(bomb, 1) if packed else bomb
    encoding = {"Content_Encoding": "gzip"} if packed else {}
    desk.script["status"].append(answers(200, body, **encoding))

    with pytest.raises(BadAnswer, match="more than 32 MiB"):
        await client.status(job_id)


async def test_a_server_that_drips_is_given_up(desk: Desk, open_client: Opens) -> None:
    """A byte now and then is not an answer: one answer has an end in time."""
    job_id = desk.tells(*a_history())
    client = await open_client(
        clock=SystemClock(),
        pace=Pace(answer=timedelta(milliseconds=80)),
        patience=timedelta(milliseconds=1),
    )

    desk.script["status"].append(drips)

    with pytest.raises(Unreachable):
        await client.status(job_id)


async def test_a_short_answer_is_asked_for_again(desk: Desk, client: Client) -> None:
    """A body that ends too early is a broken connection, not a document."""
    job_id = desk.tells(*a_history())

    async def breaks_off(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"jobId":')
        return await is_cut(request)

    desk.script["status"].append(breaks_off)

    assert (await client.status(job_id)).state == "queued"
    assert len(desk.seen) == 2


@asynccontextmanager
async def says_raw(answer: bytes) -> AsyncIterator[str]:
    """Serve these very bytes to every connection."""

    async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 banana\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"",
    ],
)
async def test_whatever_is_not_http_is_an_error_of_ours(open_client: Opens, answer: bytes) -> None:
    """Another program on that port, a broken proxy: no exception of a library gets out."""
    async with says_raw(answer) as url:
        client = await open_client(url, patience=timedelta(seconds=2))

        with pytest.raises((BadAnswer, Unreachable)):
            await client.status(a_job_id())
        with pytest.raises((BadAnswer, Unreachable)):
            await client.wait(a_job_id())


@pytest.mark.parametrize(
    "url",
    ["localhost:8080", "ftp://a/", "", "http://", "http://a/?x=1", "http://me:pw@a/", "http://["],
)
async def test_a_base_url_that_is_none_is_refused_at_once(url: str) -> None:
    """The mistake is told where it was made."""
    with pytest.raises(ValueError, match="URL"):
        Client(url)


@pytest.mark.parametrize("wishes", [{"token": "a\r\nX: y"}, {"track_id": "a b"}, {"track_id": ""}])
async def test_a_header_cannot_be_smuggled_in(desk: Desk, wishes: dict[str, Any]) -> None:
    """Token and TrackID become headers: they are judged before."""
    with pytest.raises(ValueError, match="is"):
        Client(desk.url, **wishes)


async def test_a_client_that_is_not_open_says_how_to_open_it(desk: Desk) -> None:
    """The usual slip has a usual answer."""
    with pytest.raises(RuntimeError, match="async with"):
        await Client(desk.url).status(a_job_id())


async def test_a_path_in_front_of_the_service_is_kept(desk: Desk, open_client: Opens) -> None:
    """Behind a proxy the whole API may live under a path."""
    client = await open_client(f"{desk.url}/desk/")

    with pytest.raises(OtherProblem):  # the desk of the test knows no such place
        await client.status(a_job_id())

    assert desk.seen[0].path.startswith("/desk/api/jobs/")
    assert client.address("/api/blobs/1") == f"{desk.url}/desk/api/blobs/1"


@pytest.mark.parametrize("link", ["//192.0.2.1/x", "file:///etc/passwd", "x", "", "http://["])
async def test_a_link_that_is_no_http_address_leads_nowhere(client: Client, link: str) -> None:
    """What looks like a path of the service must not turn out to be another host."""
    with pytest.raises(BadAnswer, match="no http"):
        client.address(link)


async def test_a_result_is_read_where_it_stands(desk: Desk, client: Client) -> None:
    """Small ones come with the status; for large ones the client goes to the result."""
    small = desk.tells(*a_history(results=[1, 2]))
    desk.script["status"].append(answers(200, desk.jobs[small][-1]))
    assert await client.result(small) == [1, 2]
    large = desk.tells(*a_history())
    document = desk.jobs[large][-1]
    del document["results"]
    desk.jobs[large] = [document]

    assert await client.result(large) == {"n": 1}


async def test_no_result_says_so(desk: Desk, client: Client) -> None:
    """Asked too early, or of a job that failed."""
    job_id = desk.tells(a_status(a_job_id(), 2, "failed"))

    with pytest.raises(NoResult):
        await client.result(job_id)


async def test_a_cancel_answers_how_the_job_stands(desk: Desk, client: Client) -> None:
    """A running job is cancelling first; an ended one says how it ended."""
    running = desk.tells(a_status(a_job_id(), 2, "running"))
    ended = desk.tells(a_status(a_job_id(), 3, "failed"))

    assert (await client.cancel(running)).state == "cancelling"
    with pytest.raises(AlreadyEnded) as refused:
        await client.cancel(ended)
    job = refused.value.members["job"]
    assert isinstance(job, dict)
    assert job["status"] == "failed"


async def test_a_replay_answers_how_the_job_stands(desk: Desk, client: Client) -> None:
    """A failed job waits again; one with a result says that it has one."""
    failed = desk.tells(a_status(a_job_id(), 3, "failed"))
    completed = desk.tells(a_status(a_job_id(), 3, "completed"))

    assert (await client.replay(failed)).state == "queued"
    with pytest.raises(NotReplayable) as refused:
        await client.replay(completed)
    job = refused.value.members["job"]
    assert isinstance(job, dict)
    assert job["status"] == "completed"


async def test_a_replay_is_asked_for_once(desk: Desk, client: Client) -> None:
    """Whether it was done is not known: a second one might be refused, which would be a lie."""
    job_id = desk.tells(a_status(a_job_id(), 3, "failed"))
    desk.script["replay"].append(is_cut)

    with pytest.raises(Unreachable):
        await client.replay(job_id)

    assert [seen.method for seen in desk.seen] == ["POST"]


async def test_reads_are_tried_again_too(desk: Desk, client: Client, clock: StatedClock) -> None:
    """A moment without a database costs a pause."""
    job_id = desk.tells(*a_history())
    desk.script["status"].extend([refuses(503, "unavailable", retry_after=2), answers(502)])

    assert (await client.status(job_id)).state == "queued"
    assert clock.pauses == [2, 0.75]


async def test_a_service_that_stays_down_is_unavailable(desk: Desk, client: Client) -> None:
    """The last thing heard is what is raised."""
    job_id = desk.tells(*a_history())
    desk.script["status"].extend([refuses(503, "unavailable")] * 100)

    with pytest.raises(Unavailable):
        await client.status(job_id)
