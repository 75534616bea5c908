"""What the description of the API says, and a fuzzer found to be otherwise."""

from dataclasses import replace

import aiohttp
import orjson
import pytest

from shared.contract.ids import JobId
from shared.runtime.clock import fresh_job_id
from tests.front.desk import Desk
from tests.front.peer import connect


@pytest.mark.parametrize("lines", ["3", True, 3.5, [3]])
async def test_a_value_of_another_type_is_not_taken_for_one_of_the_right(
    desk: Desk, lines: object
) -> None:
    """A schema that says integer means it: who sends a text is told, and not guessed at."""
    body = {"orderId": "a", "lineCount": lines}
    async with desk.session.post(f"{desk.url}/api/orders/fulfil", json=body) as response:
        assert response.status == 422
        assert (await response.json())["errors"][0]["pointer"] == "/lineCount"


async def test_options_are_held_to_their_types_as_well(desk: Desk) -> None:
    """The member ``job`` is described like the rest."""
    body = {"payload": 1, "job": {"maxAttempts": "3"}}
    async with desk.session.post(f"{desk.url}/api/demo/echo", json=body) as response:
        assert response.status == 422
        assert (await response.json())["errors"][0]["pointer"] == "/job/maxAttempts"


async def test_times_and_names_are_still_texts(desk: Desk) -> None:
    """JSON has no type for them: strict does not mean that they cannot be told."""
    await desk.submit(payload=1, job={"runAt": "2030-01-31T12:00:00+01:00", "priority": "low"})


@pytest.mark.parametrize("head", [b'name="\xff\xfe"', b'name="\x1b"', b'name="a"\r\nb@d: c'])
async def test_a_part_whose_head_is_no_text_is_refused(desk: Desk, head: bytes) -> None:
    """Bytes that are no text cannot become the name of a member, nor of a header."""
    body = (
        b'--x\r\nContent-Disposition: form-data; name="request"\r\n\r\n{}\r\n'
        b"--x\r\nContent-Disposition: form-data; " + head + b"\r\n\r\nfile\r\n--x--\r\n"
    )
    async with connect(desk.port) as peer:
        await peer.send(
            b"POST /api/scans/read HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body) + body
        )
        answer = await peer.answer()

    assert (answer.status, answer.code) == (400, "malformed")


@pytest.mark.parametrize("place", ["/api/jobs/{id}", "/api/blobs/{id}"])
async def test_what_is_allowed_is_what_is_described(desk: Desk, place: str) -> None:
    """No submit goes to where jobs and blobs are: no job type can have those names."""
    url = desk.url + place.replace("{id}", str(fresh_job_id()))
    async with desk.session.options(url) as response:
        allowed = set(response.headers["Allow"].split(", ")) - {"HEAD"}
    async with desk.session.get(f"{desk.url}/openapi.json") as response:
        described = (await response.json())["paths"][place]

    assert allowed == {method.upper() for method in described}


async def test_a_mistake_in_the_query_is_told_before_the_upgrade_is_asked_for(desk: Desk) -> None:
    """With or without an upgrade, what is malformed is malformed."""
    url = f"{desk.url}/jobs/{fresh_job_id()}?after=-1"
    async with desk.session.get(url) as response:
        assert response.status == 400


@pytest.mark.parametrize("wish", ["maybe", ""])
async def test_a_wish_that_is_neither_yes_nor_no_is_refused(desk: Desk, wish: str) -> None:
    """Of ``redirect``: to guess would be to answer something else than was asked."""
    job_id: JobId = await desk.submit(payload=1)
    url = f"{desk.url}/api/jobs/{job_id}?redirect={wish}"
    async with desk.session.get(url, allow_redirects=False) as response:
        assert response.status == 400


async def test_every_wish_that_is_described_is_taken(desk: Desk) -> None:
    """And followed: on a job that has no result yet there is nothing to lead to."""
    job_id = await desk.submit(payload=1)
    async with desk.session.get(f"{desk.url}/openapi.json") as response:
        described = (await response.json())["paths"]["/api/jobs/{id}"]["get"]["parameters"]
    wishes = next(one for one in described if one["name"] == "redirect")["schema"]["enum"]
    for wish in wishes:
        url = f"{desk.url}/api/jobs/{job_id}?redirect={wish}"
        async with desk.session.get(url) as response:
            assert response.status == 200


@pytest.mark.parametrize("query", ["limit=1_0", "limit=%EF%BC%91", "limit=+1", "limit="])
async def test_a_limit_is_a_number_as_json_writes_it(desk: Desk, query: str) -> None:
    """Not what a programming language also takes for one."""
    async with desk.session.get(f"{desk.url}/api/jobs?{query}") as response:
        assert response.status == 400


async def test_an_answer_that_is_not_as_described_fails_its_test(desk: Desk) -> None:
    """Every session of a desk watches: a status, a member or a header that nobody described."""
    job_id = await desk.submit(payload=1)
    desk.store.views[job_id] = replace(desk.store.views[job_id], progress=101)
    with pytest.raises(AssertionError, match=r"progress.*101"):
        async with desk.session.get(f"{desk.url}/api/jobs/{job_id}"):
            pass
    async with (
        aiohttp.ClientSession() as plain,
        plain.get(f"{desk.url}/api/jobs/{job_id}") as response,
    ):
        assert orjson.loads(await response.read())["progress"] == 101
