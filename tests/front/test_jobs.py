"""Status, result, cancel and list: what a reader is told."""

from dataclasses import replace
from typing import Any

import aiohttp
import orjson
import pytest

from front_service.lookup import write_cursor
from shared.contract.ids import JobId, TenantId, uuid7
from shared.contract.states import State
from tests.front.desk import Desk

UNKNOWN = "0193e1a0-0000-7000-8000-000000000000"


async def get(desk: Desk, path: str, **headers: str) -> tuple[int, Any, Any]:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    async with desk.session.get(desk.url + path, headers=given, allow_redirects=False) as response:
        raw = await response.read()
        return response.status, orjson.loads(raw) if raw else None, response.headers


async def post(desk: Desk, path: str) -> tuple[int, Any]:
    async with desk.session.post(desk.url + path) as response:
        return response.status, await response.json()


def complete(desk: Desk, job_id: JobId, result: object = 1) -> None:
    desk.store.move(job_id, State.RUNNING)
    desk.store.move(job_id, State.COMPLETED, result=orjson.dumps(result))


class TestStatus:
    async def test_both_addresses_tell_the_same(self, desk: Desk) -> None:
        """One document, whoever asks and however."""
        job_id = await desk.submit()

        by_type = await get(desk, f"/api/demo/status/{job_id}")
        by_id = await get(desk, f"/api/jobs/{job_id}")

        assert by_type[:2] == by_id[:2]
        assert by_type[1]["state"] == "queued"

    async def test_a_live_job_says_when_to_ask_again(self, desk: Desk) -> None:
        """A polling client needs no idea of its own."""
        job_id = await desk.submit()
        _, _, live = await get(desk, f"/api/jobs/{job_id}")
        complete(desk, job_id)
        _, _, ended = await get(desk, f"/api/jobs/{job_id}")

        assert live["Retry-After"] == "1"
        assert "Retry-After" not in ended
        assert live["Cache-Control"] == "no-store"

    async def test_what_is_known_is_not_sent_again(self, desk: Desk) -> None:
        """304 until an event or a report of progress changes the document."""
        job_id = await desk.submit()
        path = f"/api/jobs/{job_id}"
        _, _, first = await get(desk, path)

        unchanged, body, _ = await get(desk, path, If_None_Match=first["ETag"])
        assert (unchanged, body) == (304, None)
        assert (await get(desk, path, If_None_Match=f'"x", W/{first["ETag"]}'))[0] == 304

        desk.store.progress(job_id, 10)
        moved, _, second = await get(desk, path, If_None_Match=first["ETag"])
        assert moved == 200
        desk.store.progress(job_id, 10, "another word")
        assert (await get(desk, path, If_None_Match=second["ETag"]))[0] == 200

    async def test_a_completed_job_may_redirect_to_its_result(self, desk: Desk) -> None:
        """The pattern of the textbooks, for clients that ask for it."""
        job_id = await desk.submit()
        path = f"/api/demo/status/{job_id}?redirect=true"
        early, _, _ = await get(desk, path)
        complete(desk, job_id)
        late, _, headers = await get(desk, path)

        assert (early, late) == (200, 303)
        assert headers["Location"] == f"/api/demo/result/{job_id}"

    @pytest.mark.parametrize(
        "name",
        [
            UNKNOWN,
            UNKNOWN.upper(),
            "..%2f..%2fetc",
            "%00",
            "{id}",
            f"urn:uuid:{UNKNOWN}",
            f"%7B{UNKNOWN}%7D",
            "x" * 300,
        ],
    )
    async def test_whatever_is_no_job_is_not_found(self, desk: Desk, name: str) -> None:
        """It tells nothing of what exists."""
        status, content, _ = await get(desk, f"/api/jobs/{name}", X_Track_ID="t")

        assert status == 404
        assert content["code"] in ("unknown_job", "not_found")

    async def test_a_job_of_another_tenant_is_not_there(self, desk: Desk) -> None:
        """Byte for byte what an unknown id gets."""
        job_id = await desk.submit()
        other = TenantId(uuid7(1, b"\x01" * 10))
        desk.store.views[job_id] = replace(desk.store.views[job_id], tenant=other)

        foreign = await get(desk, f"/api/jobs/{job_id}", X_Track_ID="t")
        unknown = await get(desk, f"/api/jobs/{UNKNOWN}", X_Track_ID="t")

        assert foreign[:2] == unknown[:2]

    async def test_a_job_is_found_in_its_own_collection_only(self, desk: Desk) -> None:
        """A link that names another collection is a wrong link."""
        job_id = await desk.submit()

        for path in (f"/api/orders/status/{job_id}", f"/api/orders/result/{job_id}"):
            assert (await get(desk, path))[0] == 404
        assert (await post(desk, f"/api/orders/cancel/{job_id}"))[0] == 404
        assert desk.store.views[job_id].state is State.QUEUED

    async def test_a_job_cleaned_up_is_gone(self, desk: Desk) -> None:
        """410 says: it was there, do not look again."""
        job_id = await desk.submit()
        desk.store.forget(job_id)

        for path in (f"/api/jobs/{job_id}", f"/api/demo/result/{job_id}"):
            status, content, _ = await get(desk, path)
            assert (status, content["code"]) == (410, "gone")

    async def test_no_database_is_never_a_404(self, desk: Desk) -> None:
        """A client that is told 404 forgets its job."""
        job_id = await desk.submit()
        desk.store.is_away = True

        status, _, headers = await get(desk, f"/api/jobs/{job_id}")

        assert (status, headers["Retry-After"]) == (503, "1")


class TestResult:
    async def test_a_result_is_passed_on_untouched(self, desk: Desk) -> None:
        """The handler's JSON, byte for byte, inside its envelope."""
        job_id = await desk.submit()
        complete(desk, job_id, {"b": 1.50, "a": ["ü"]})

        status, content, _ = await get(desk, f"/api/demo/result/{job_id}")

        assert status == 200
        assert content["results"] == {"b": 1.5, "a": ["ü"]}
        assert content["status"] == "completed"

    async def test_a_result_that_is_not_there_yet_says_when_to_ask(self, desk: Desk) -> None:
        """409 with Retry-After: come back; without: there will be none."""
        job_id = await desk.submit()
        early, content, waiting = await get(desk, f"/api/demo/result/{job_id}")
        await desk.session.delete(f"{desk.url}/api/jobs/{job_id}")
        late, _, ended = await get(desk, f"/api/demo/result/{job_id}")

        assert (early, late, content["code"]) == (409, 409, "no_result")
        assert waiting["Retry-After"] == "1"
        assert "Retry-After" not in ended


class TestCancel:
    async def test_a_waiting_job_is_cancelled_at_once(self, desk: Desk) -> None:
        """200, and asking again changes nothing."""
        job_id = await desk.submit()
        path = f"/api/demo/cancel/{job_id}"

        first, content = await post(desk, path)
        second, again = await post(desk, path)

        assert (first, second) == (200, 200)
        assert content["status"] == again["status"] == "cancelled"
        assert desk.store.views[job_id].sequence == 2

    async def test_a_running_job_is_asked_to_stop(self, desk: Desk) -> None:
        """202: its handler is being told."""
        job_id = await desk.submit()
        desk.store.move(job_id, State.RUNNING)

        status, content = await post(desk, f"/api/demo/cancel/{job_id}")

        assert (status, content["state"]) == (202, "cancelling")

    async def test_a_job_that_has_ended_cannot_be_cancelled(self, desk: Desk) -> None:
        """409, with how it ended."""
        job_id = await desk.submit()
        complete(desk, job_id)

        async with desk.session.delete(f"{desk.url}/api/jobs/{job_id}") as response:
            content = await response.json()

        assert (response.status, content["code"]) == (409, "already_ended")
        assert content["job"]["status"] == "completed"


class TestList:
    async def test_pages_follow_each_other_newest_first(self, desk: Desk) -> None:
        """Every job once, whatever is submitted meanwhile."""
        ids = [str(await desk.submit()) for _ in range(5)]
        seen: list[str] = []
        path = "/api/jobs?limit=2"
        while path:
            _, content, _ = await get(desk, path)
            seen += [job["jobId"] for job in content["jobs"]]
            await desk.submit()
            cursor = content.get("nextCursor")
            path = f"/api/jobs?limit=2&cursor={cursor}" if cursor else ""

        assert seen == sorted(ids, reverse=True)  # ids of one millisecond are in any order

    async def test_filters_narrow_the_list(self, desk: Desk) -> None:
        """Each by itself and all together."""
        job_id = await desk.submit(job={"tags": ["red"], "orderingKey": "k"})
        await desk.submit("orders/fulfil", orderId="7")
        for query in (
            "tag=red",
            "orderingKey=k",
            "type=demo.echo",
            "type=demo.echo&tag=red&status=pending&state=queued",
        ):
            _, content, _ = await get(desk, f"/api/jobs?{query}")
            assert [job["jobId"] for job in content["jobs"]] == [str(job_id)], query
        for query in ("status=completed", "state=running", "status=completed&state=queued"):
            _, content, _ = await get(desk, f"/api/jobs?{query}")
            assert content["jobs"] == [], query

    async def test_times_narrow_the_list(self, desk: Desk) -> None:
        """RFC 3339, with an offset."""
        await desk.submit()

        _, after, _ = await get(desk, "/api/jobs?createdAfter=2020-01-01T00:00:00Z")
        _, before, _ = await get(desk, "/api/jobs?createdBefore=2020-01-01T00:00:00Z")

        assert (len(after["jobs"]), len(before["jobs"])) == (1, 0)

    @pytest.mark.parametrize("limit", ["0", "-1", "1000000000"])
    async def test_a_limit_is_clipped(self, desk: Desk, limit: str) -> None:
        """A client that asks for everything gets a page."""
        await desk.submit()

        status, content, _ = await get(desk, f"/api/jobs?limit={limit}")

        assert (status, len(content["jobs"])) == (200, 1)

    @pytest.mark.parametrize(
        "query",
        [
            "limit=x",
            "foo=1",
            "status=done",
            "state=pending",
            "cursor=abc",
            "cursor=",
            "cursor=%00",
            "cursor=" + "A" * 23,
            "cursor=" + write_cursor(JobId(uuid7(1, b"\x01" * 10))) + "=",
            "createdAfter=yesterday",
            "createdAfter=2020-01-01T00:00:00",
            "createdAfter=0001-01-01T00:00:00%2B14:00",
            "createdBefore=9999-12-31T23:59:59-14:00",
            "tag=%00",
            "tag=a&tag=b",
            "orderingKey=" + "x" * 201,
        ],
    )
    async def test_a_query_that_says_nothing_is_malformed(self, desk: Desk, query: str) -> None:
        """Ignoring it would answer another question."""
        status, content, _ = await get(desk, f"/api/jobs?{query}")

        assert (status, content["code"]) == (400, "malformed")


class TestHealth:
    async def test_the_loop_answers_for_itself(self, desk: Desk) -> None:
        """Alive whatever is broken around it."""
        desk.store.is_away = True

        assert (await get(desk, "/livez"))[0] == 200

    async def test_a_replica_is_ready_without_a_broker(self, desk: Desk) -> None:
        """Submits go on while it is down: taking the replica out would end that."""
        desk.post.answer = False

        status, content, _ = await get(desk, "/readyz")

        assert (status, content["broker"]) == (200, "degraded")

    async def test_a_replica_that_never_saw_the_database_is_not_ready(self, desk: Desk) -> None:
        """It could only answer 503."""
        desk.store.is_away = True

        status, content, _ = await get(desk, "/readyz")

        assert (status, content["database"]) == (503, "down")


class TestMetrics:
    async def test_what_was_done_is_counted(self, desk: Desk) -> None:
        """By type, by confirm, by code of refusal; never by id, key or caller."""
        job_id = await desk.submit()
        desk.post.answer = False
        await desk.submit()
        await get(desk, "/api/jobs/x")
        async with desk.session.get(desk.url + "/metrics") as response:
            told = await response.text()

        assert response.headers["Content-Type"].startswith("text/plain")
        accepted = 'uketsuke_jobs_accepted_total{confirmed="%s",type="demo.echo"} 1.0'
        assert accepted % "yes" in told
        assert accepted % "no" in told
        assert 'uketsuke_requests_refused_total{code="unknown_job"} 1.0' in told
        assert "uketsuke_accept_seconds_count 2.0" in told
        assert "uketsuke_watchers 0.0" in told
        assert "uketsuke_broker_up 0.0" in told
        assert str(job_id) not in told


class TestProblems:
    async def test_an_unknown_address_is_a_problem_document(self, desk: Desk) -> None:
        """The same form for every refusal."""
        status, content, headers = await get(desk, "/nowhere", X_Track_ID="t-9")

        assert (status, content["code"]) == (404, "not_found")
        assert headers["Content-Type"] == "application/problem+json"
        assert content["trackId"] == headers["X-Track-ID"] == "t-9"
        assert content["error"] == content["detail"]
        assert content["status"] == 404
        assert content["type"].endswith("not_found")

    async def test_a_wrong_method_says_which_are_right(self, desk: Desk) -> None:
        """RFC 9110: Allow is required."""
        async with desk.session.put(desk.url + "/api/jobs") as response:
            assert response.status == 405
            assert response.headers["Allow"] == "GET, HEAD"

    @pytest.mark.parametrize("bad", ["", "x" * 65, "a b", "ü", "a\tb", "../x"])
    async def test_a_bad_track_id_is_replaced(self, desk: Desk, bad: str) -> None:
        """It goes into logs and headers: only what is harmless there is taken."""
        _, _, headers = await get(desk, "/livez", X_Track_ID=bad)

        assert headers["X-Track-ID"] != bad
        assert len(headers["X-Track-ID"]) == 24


class TestCallers:
    @pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1:80"])
    async def test_a_foreign_host_name_is_refused(self, desk: Desk, host: str) -> None:
        """A page whose name was turned to point at us (DNS rebinding) gets nothing."""
        status, content, _ = await get(desk, "/api/jobs", Host=host)

        assert (status, content["code"]) == (403, "forbidden")

    @pytest.mark.parametrize("host", ["localhost", "localhost:8080", "[::1]:80", "127.9.9.9"])
    async def test_local_host_names_are_taken(self, desk: Desk, host: str) -> None:
        """Whatever can only mean this machine."""
        assert (await get(desk, "/api/jobs", Host=host))[0] == 200

    @pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://evil.localhost.x"])
    async def test_a_foreign_page_is_refused(self, desk: Desk, origin: str) -> None:
        """A text/plain POST needs no leave of the browser: we must refuse it."""
        async with desk.session.post(
            desk.url + "/api/demo/echo",
            data="{}",
            headers={"Origin": origin, "Content-Type": "text/plain"},
        ) as response:
            assert response.status == 403
        assert not desk.store.views

    async def test_a_local_page_is_taken(self, desk: Desk) -> None:
        """The developer's own page on another port."""
        assert (await get(desk, "/api/jobs", Origin="http://localhost:5173"))[0] == 200


async def test_redirects_lead_to_the_result(desk: Desk) -> None:
    """A client that follows redirects ends at the result without knowing of it."""
    job_id = await desk.submit()
    complete(desk, job_id, "done")

    async with aiohttp.ClientSession() as session:
        url = f"{desk.url}/api/demo/status/{job_id}?redirect=true"
        async with session.get(url) as response:
            assert (await response.json())["results"] == "done"
