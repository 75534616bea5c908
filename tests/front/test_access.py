"""Who is let in: keys, scopes, pages, and what the refused are told."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from aiohttp import WSMsgType, hdrs

from front_service.routes import ROUTES
from shared.contract.access import Scope
from tests.front.desk import Desk, open_desk

NOWHERE: Final = "00000000-0000-7000-8000-000000000000"


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path, auth="required") as desk:
        yield desk


def bearer(shown: str) -> dict[str, str]:
    return {hdrs.AUTHORIZATION: f"Bearer {shown}"}


def place(path: str) -> str:
    return path.format(id=NOWHERE, collection="demo", action="echo", file="docs.css")


async def answer(
    desk: Desk, method: str, path: str, headers: dict[str, str]
) -> tuple[int, dict[str, Any], str]:
    async with desk.session.request(method, desk.url + path, headers=headers) as response:
        challenge = response.headers.get(hdrs.WWW_AUTHENTICATE, "")
        is_problem = response.content_type == "application/problem+json"
        return response.status, await response.json() if is_problem else {}, challenge


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
class TestTheTable:
    async def test_a_route_takes_the_scope_that_stands_in_the_table(
        self, guarded: Desk, route: Any
    ) -> None:
        """With that one alone it answers as it does; with all others it refuses."""
        if route.needs is None:
            status, _, _ = await answer(guarded, route.method, place(route.path), {})
            assert status == 200
            return
        others = guarded.keys.make("acme", *(set(Scope) - {route.needs}))
        right = guarded.keys.make("acme", route.needs)

        status, problem, challenge = await answer(
            guarded, route.method, place(route.path), bearer(others)
        )
        assert (status, problem["code"], problem["scope"]) == (403, "out_of_scope", route.needs)
        assert f'scope="{route.needs}"' in challenge

        status, problem, _ = await answer(guarded, route.method, place(route.path), bearer(right))
        assert status not in (401, 403), problem

    async def test_a_route_takes_nobody_who_shows_nothing(self, guarded: Desk, route: Any) -> None:
        """But what a supervisor asks; and the answer says what to show."""
        status, problem, challenge = await answer(guarded, route.method, place(route.path), {})

        if route.needs is None:
            assert status == 200
        else:
            assert (status, problem["code"]) == (401, "unauthenticated")
            assert challenge == 'Bearer realm="uketsuke"'


@pytest.mark.parametrize(
    "shown",
    [
        "Bearer",
        "Bearer ",
        "Bearer uketsuke_" + "a" * 43,
        "Bearer x.y.z",
        "Bearer \udcff",
        "Basic dTpw",
        "uketsuke_" + "a" * 43,
    ],
)
async def test_what_is_no_key_is_refused(guarded: Desk, shown: str) -> None:
    """Whatever it looks like, with one and the same answer."""
    raw = shown.encode("utf-8", "surrogateescape")
    reader, writer = await asyncio.open_connection("127.0.0.1", guarded.port)
    writer.write(b"GET /api/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: " + raw + b"\r\n\r\n")
    try:
        line = await asyncio.wait_for(reader.readline(), 10)
    finally:
        writer.close()

    assert line.split()[1] in (b"401", b"400")


async def test_a_key_in_the_query_is_none(guarded: Desk) -> None:
    """It would stand in logs and histories."""
    shown = guarded.keys.make("acme")

    status, _, _ = await answer(guarded, "GET", f"/api/jobs?token={shown}", {})

    assert status == 401


async def test_two_keys_at_once_are_refused(guarded: Desk) -> None:
    """A proxy and we might each look at another one."""
    shown = guarded.keys.make("acme")
    headers = [(hdrs.AUTHORIZATION, f"Bearer {shown}")] * 2

    async with guarded.session.get(guarded.url + "/api/jobs", headers=headers) as response:
        assert response.status == 400


async def test_an_address_that_is_none_is_told_to_callers_only(guarded: Desk) -> None:
    """A stranger learns nothing of the map; a caller learns that he is wrong."""
    shown = guarded.keys.make("acme", Scope.READ)

    assert (await answer(guarded, "GET", "/nowhere", {}))[0] == 401
    assert (await answer(guarded, "GET", "/nowhere", bearer(shown)))[0] == 404
    assert (await answer(guarded, "PUT", "/api/jobs", bearer(shown)))[0] == 405


async def test_the_first_key_closes_the_door_to_the_nameless(desk: Desk) -> None:
    """Nobody has to remember a setting for that."""
    assert (await answer(desk, "GET", "/api/jobs", {}))[0] == 200

    shown = desk.keys.make("acme")
    await desk.front.key_ring.refresh()

    assert (await answer(desk, "GET", "/api/jobs", {}))[0] == 401
    assert (await answer(desk, "GET", "/api/jobs", bearer(shown)))[0] == 200
    assert (await answer(desk, "GET", "/livez", {}))[0] == 200


async def test_a_wrong_key_is_refused_where_none_is_asked_for(desk: Desk) -> None:
    """Whoever shows one means to be somebody."""
    status, problem, challenge = await answer(
        desk, "GET", "/api/jobs", bearer("uketsuke_" + "a" * 43)
    )

    assert (status, problem["code"]) == (401, "unauthenticated")
    assert 'error="invalid_token"' in challenge


async def test_while_the_keys_cannot_be_read_nobody_is_taken_for_nobody(guarded: Desk) -> None:
    """503 and not 401: the caller is to come back, not to throw his key away."""
    shown = guarded.keys.make("acme")
    guarded.keys.is_away = True

    assert (await answer(guarded, "GET", "/api/jobs", bearer(shown)))[0] == 503
    assert (await answer(guarded, "GET", "/livez", {}))[0] == 200


async def test_behind_a_key_the_host_does_not_matter_and_the_page_does(guarded: Desk) -> None:
    """Production has names of its own; a page of somebody else's still may not call."""
    shown = guarded.keys.make("acme")
    ours = bearer(shown) | {hdrs.HOST: "desk.example"}

    assert (await answer(guarded, "GET", "/api/jobs", ours))[0] == 200
    for origin, status in (("https://desk.example", 200), ("https://evil.example", 403)):
        assert (await answer(guarded, "GET", "/api/jobs", ours | {"Origin": origin}))[0] == status
    assert (await answer(guarded, "GET", "/api/jobs", ours | {"Origin": "null"}))[0] == 403


async def test_a_browser_asks_first_without_a_key(tmp_path: Path) -> None:
    """A preflight never carries one; the page may then read why it was refused."""
    page = "https://app.example"
    async with open_desk(tmp_path, auth="required", allowed_origins=[page]) as desk:
        asked = {"Origin": page, "Access-Control-Request-Method": "POST"}
        async with desk.session.options(desk.url + "/api/demo/echo", headers=asked) as response:
            assert response.status == 204
            assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
        async with desk.session.get(desk.url + "/api/jobs", headers={"Origin": page}) as response:
            assert response.status == 401
            assert response.headers["Access-Control-Allow-Origin"] == page


async def test_who_may_only_submit_is_shown_no_result(guarded: Desk) -> None:
    """`Prefer: wait` is a way to read, too."""
    shown = guarded.keys.make("acme", Scope.SUBMIT)
    wait = bearer(shown) | {"Prefer": "wait=30"}

    async with guarded.session.post(
        guarded.url + "/api/demo/echo", json={}, headers=wait
    ) as response:
        assert response.status == 202
        assert "Preference-Applied" not in response.headers


class TestStreams:
    async def test_a_socket_is_closed_when_its_key_ends(self, guarded: Desk) -> None:
        """4401: with another key the client resumes where it was."""
        shown = guarded.keys.make("acme")
        job_id = await submit(guarded, shown)
        async with guarded.session.ws_connect(
            f"{guarded.url}/jobs/{job_id}", headers=bearer(shown)
        ) as socket:
            await socket.receive(timeout=10)

            guarded.keys.end(shown)
            await guarded.front.key_ring.refresh()

            message = await socket.receive(timeout=10)
            assert message.type is WSMsgType.CLOSE
            assert socket.close_code == 4401

    async def test_server_sent_events_end_with_their_key(self, guarded: Desk) -> None:
        """The browser dials again by itself, and is told 401: then it stops."""
        shown = guarded.keys.make("acme")
        job_id = await submit(guarded, shown)
        events = f"{guarded.url}/api/jobs/{job_id}/events"
        async with guarded.session.get(events, headers=bearer(shown)) as response:
            await response.content.readuntil(b"\n\n")

            guarded.keys.end(shown)
            await guarded.front.key_ring.refresh()

            with pytest.raises(aiohttp.ClientPayloadError):
                await asyncio.wait_for(response.content.read(), 10)
        async with guarded.session.get(events, headers=bearer(shown)) as response:
            assert response.status == 401

    async def test_a_stream_of_another_key_goes_on(self, guarded: Desk) -> None:
        """Whoever changes keys, one app after the other, ends only those of the old one."""
        old, new = guarded.keys.make("acme"), guarded.keys.make("acme")
        job_id = await submit(guarded, old)
        async with guarded.session.ws_connect(
            f"{guarded.url}/jobs/{job_id}", headers=bearer(new)
        ) as socket:
            await socket.receive(timeout=10)

            guarded.keys.end(old)
            await guarded.front.key_ring.refresh()
            await socket.ping()

            assert not socket.closed
            assert len(guarded.front.hub) == 1

    async def test_a_read_token_opens_streams_and_nothing_else(self, guarded: Desk) -> None:
        """Its holder has no key; elsewhere it is none."""
        job_id = await submit(guarded, guarded.keys.make("acme", Scope.SUBMIT))
        shown = guarded.keys.make("acme", Scope.READ)
        minting = f"{guarded.url}/api/jobs/{job_id}/tokens"
        async with guarded.session.post(minting, headers=bearer(shown)) as response:
            token = (await response.json())["token"]

        async with guarded.session.ws_connect(
            f"{guarded.url}/jobs/{job_id}?token={token}"
        ) as socket:
            assert (await socket.receive(timeout=10)).type is WSMsgType.TEXT
        for path in (f"/api/jobs/{job_id}", "/api/jobs", f"/api/jobs/{NOWHERE}/events"):
            status, problem, _ = await answer(guarded, "GET", f"{path}?token={token}", {})
            assert (status, problem["code"]) == (
                (404, "unknown_job") if path.endswith("/events") else (401, "unauthenticated")
            )

    @pytest.mark.parametrize("scopes", [(Scope.READ,), (Scope.READ, Scope.CANCEL)])
    async def test_what_cancels_over_a_socket_takes_that_scope(
        self, guarded: Desk, scopes: tuple[Scope, ...]
    ) -> None:
        """The socket itself takes no more than to read."""
        job_id = await submit(guarded, guarded.keys.make("acme", Scope.SUBMIT))
        caller = bearer(guarded.keys.make("acme", *scopes))
        async with guarded.session.ws_connect(
            f"{guarded.url}/api/socket", headers=caller
        ) as socket:
            await socket.send_json({"op": "cancel", "jobs": [job_id]})
            said = await socket.receive_json(timeout=10)

        told = said.get("code", said["event"])
        assert told == ("cancelled" if Scope.CANCEL in scopes else "forbidden")


async def submit(desk: Desk, shown: str) -> str:
    async with desk.session.post(
        f"{desk.url}/api/demo/echo", json={}, headers=bearer(shown)
    ) as response:
        assert response.status == 202, await response.text()
        return str((await response.json())["jobId"])
