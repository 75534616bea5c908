"""Many jobs at once, the dead letters, what goes on, and what could be run."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from shared.contract.ids import JobId, parse_uuid
from shared.contract.operating import BulkAnswer
from shared.contract.states import State
from shared.store.operating import Worker
from tests.front.desk import Desk
from tests.front.test_submit import post
from tests.support.builders import a_job_id, a_tenant

BULK = "/api/jobs/bulk"
SOMEBODY = "01930000-0000-7000-8000-000000000000"


async def get(desk: Desk, path: str) -> tuple[int, Any]:
    async with desk.session.get(desk.url + path) as response:
        return response.status, orjson.loads(await response.read())


async def bulk(desk: Desk, action: str, **wish: Any) -> dict[str, Any]:
    status, content, _ = await post(desk, BULK, {"action": action, **wish})
    assert status == 200, content
    BulkAnswer.model_validate(content)
    return dict(content)


async def jobs(desk: Desk, count: int, state: State = State.QUEUED, **members: Any) -> list[JobId]:
    ids = [await desk.submit(**members) for _ in range(count)]
    if state is not State.QUEUED:
        for job_id in ids:
            desk.store.move(job_id, State.RUNNING)
            desk.store.move(job_id, state)
    return ids


def states(desk: Desk, ids: list[JobId]) -> list[State]:
    return [desk.store.views[job_id].state for job_id in ids]


class TestBulk:
    async def test_all_that_fit_are_changed(self, desk: Desk) -> None:
        """More than one slice of them; the answer counts and shows some."""
        ids = await jobs(desk, 120, State.FAILED)
        other = await jobs(desk, 2, State.COMPLETED)

        answer = await bulk(desk, "replay", filter={"status": "failed"})

        assert (answer["matched"], answer["changed"], answer["skipped"]) == (120, 120, 0)
        assert answer["isComplete"] is True
        assert len(answer["sample"]) == 10
        assert parse_uuid(answer["sample"][0]["jobId"]) in ids
        assert set(states(desk, ids)) == {State.QUEUED}
        assert set(states(desk, other)) == {State.COMPLETED}

    async def test_a_dry_run_changes_nothing(self, desk: Desk) -> None:
        """It says what would be done, and as of when: the real one can be held to it."""
        ids = await jobs(desk, 3)

        answer = await bulk(desk, "cancel", filter={}, dryRun=True)

        assert (answer["matched"], answer["changed"], answer["dryRun"]) == (3, 0, True)
        assert set(states(desk, ids)) == {State.QUEUED}

    async def test_a_time_is_told_as_text(self, desk: Desk) -> None:
        """A number might mean seconds or milliseconds; nobody is to find out by a deletion."""
        answer = await desk.session.post(
            f"{desk.url}/api/jobs/bulk", json={"action": "delete", "filter": {"createdBefore": 0}}
        )

        assert answer.status == 422
        assert (await answer.json())["errors"][0]["pointer"] == "/filter/createdBefore"

    async def test_a_filter_that_fits_nothing_changes_nothing(self, desk: Desk) -> None:
        """Also one that asks for a state to which this cannot be done."""
        ids = await jobs(desk, 1)

        nobody = await bulk(desk, "cancel", filter={"tag": "nobody"})
        ended = await bulk(desk, "cancel", filter={"status": "completed"})

        assert nobody["matched"] == ended["matched"] == 0
        assert states(desk, ids) == [State.QUEUED]

    async def test_an_empty_filter_means_everything_of_the_callers(self, desk: Desk) -> None:
        """And nothing of another tenant's."""
        mine, strangers = await jobs(desk, 2), await jobs(desk, 1)
        _give_away(desk, strangers)

        answer = await bulk(desk, "cancel", filter={})

        assert answer["changed"] == 2
        assert set(states(desk, mine)) == {State.CANCELLED}
        assert states(desk, strangers) == [State.QUEUED]

    async def test_ids_of_strangers_and_of_nobody_are_told_alike(self, desk: Desk) -> None:
        """I11: an id that is known elsewhere must not be told from one that never was."""
        [mine], strangers = await jobs(desk, 1), await jobs(desk, 1)
        _give_away(desk, strangers)
        ids = [str(mine), str(strangers[0]), str(a_job_id()), str(mine)]

        answer = await bulk(desk, "cancel", ids=ids)

        assert (answer["matched"], answer["changed"], answer["unknown"]) == (1, 1, 2)
        assert states(desk, strangers) == [State.QUEUED]

    async def test_ids_that_are_in_no_state_for_it_are_skipped(self, desk: Desk) -> None:
        """They are counted, and left alone."""
        ids = await jobs(desk, 2)

        answer = await bulk(desk, "delete", ids=list(map(str, ids)))

        assert (answer["matched"], answer["skipped"]) == (0, 2)

    async def test_asking_again_is_harmless(self, desk: Desk) -> None:
        """A replay that failed again meanwhile is not replayed by a repeat of the same wish."""
        ids = await jobs(desk, 2, State.FAILED)
        before = datetime.now(UTC).isoformat()
        wish = {"filter": {"state": "failed"}, "asOf": before}
        assert (await bulk(desk, "replay", **wish))["changed"] == 2
        for job_id in ids:
            desk.store.move(job_id, State.FAILED)

        again = await bulk(desk, "replay", **wish)

        assert (again["matched"], again["changed"]) == (0, 0)
        assert set(states(desk, ids)) == {State.FAILED}

    async def test_what_is_deleted_is_gone(self, desk: Desk) -> None:
        """410, at once."""
        [job_id] = await jobs(desk, 1, State.COMPLETED)

        answer = await bulk(desk, "delete", ids=[str(job_id)])

        assert answer["changed"] == 1
        assert (await get(desk, f"/api/jobs/{job_id}"))[0] == 410

    async def test_who_watches_and_who_works_is_told(self, desk: Desk) -> None:
        """As of a single one: knocks for what may run, news for who watches."""
        ids = await jobs(desk, 2, State.FAILED)
        desk.post.sent.clear()

        await bulk(desk, "replay", filter={"state": "failed"})

        assert {job_id for row in desk.post.sent for job_id in row.job_ids} == set(ids)

    @pytest.mark.parametrize(
        "wish",
        [
            {},
            {"action": "replay"},
            {"action": "stop", "filter": {}},
            {"action": "replay", "filter": {}, "ids": []},
            {"action": "replay", "filter": {}, "ids": [SOMEBODY]},
            {"action": "replay", "ids": []},
            {"action": "replay", "ids": ["7"]},
            {"action": "replay", "ids": [SOMEBODY] * 1_001},
            {"action": "replay", "filter": {"colour": "red"}},
            {"action": "replay", "filter": {"tag": "a\x00b"}},
            {"action": "replay", "filter": {"createdAfter": "2030-01-01T00:00:00"}},
            {"action": "replay", "filter": {}, "dryRun": "no"},
            {"action": "replay", "filter": {}, "asOf": "yesterday"},
            {"action": "replay", "filter": "all"},
        ],
        ids=lambda wish: str(wish)[:60],
    )
    async def test_a_wish_that_is_none_is_refused(self, desk: Desk, wish: Any) -> None:
        """Whoever changes many at once must have said what he means."""
        ids = await jobs(desk, 1, State.FAILED)

        status, _, _ = await post(desk, BULK, wish)

        assert status == 422
        assert states(desk, ids) == [State.FAILED]

    async def test_a_cursor_that_is_none_of_ours_is_refused(self, desk: Desk) -> None:
        """400, as of a list."""
        status, _, _ = await post(desk, BULK, {"action": "cancel", "filter": {}, "cursor": "x"})

        assert status == 400


def _give_away(desk: Desk, ids: list[JobId]) -> None:
    """Let jobs be of another tenant."""
    other = a_tenant()
    for job_id in ids:
        desk.store.views[job_id] = replace(desk.store.views[job_id], tenant=other)


class TestDeadLetters:
    async def test_they_are_the_jobs_that_failed(self, desk: Desk) -> None:
        """With the filters of the list."""
        [failed] = await jobs(desk, 1, State.FAILED, job={"tags": ["a"]})
        await jobs(desk, 1, State.FAILED)
        await jobs(desk, 1, State.CANCELLED, job={"tags": ["a"]})

        status, content = await get(desk, "/api/dead-letters?tag=a")

        assert status == 200
        assert [one["jobId"] for one in content["jobs"]] == [str(failed)]

    @pytest.mark.parametrize("query", ["status=cancelled", "state=queued"])
    async def test_no_filter_makes_them_more(self, desk: Desk, query: str) -> None:
        """Another state leaves none."""
        await jobs(desk, 1, State.FAILED)
        await jobs(desk, 1, State.CANCELLED)

        _, content = await get(desk, f"/api/dead-letters?{query}")

        assert content["jobs"] == []

    @pytest.mark.parametrize("query", ["colour=red", "tag=a&tag=b", "cursor=x"])
    async def test_an_unknown_parameter_is_refused(self, desk: Desk, query: str) -> None:
        """A filter that is passed over shows what was not asked for."""
        status, _ = await get(desk, f"/api/dead-letters?{query}")

        assert status == 400


class TestStats:
    async def test_live_jobs_are_counted_by_type_pool_and_key(self, desk: Desk) -> None:
        """And since when the oldest of each has been waiting."""
        await jobs(desk, 2, job={"orderingKey": "k"})
        [running] = await jobs(desk, 1)
        desk.store.move(running, State.RUNNING)
        await jobs(desk, 1, State.COMPLETED)

        status, content = await get(desk, "/api/stats")

        assert status == 200
        assert (content["queued"], content["running"]) == (2, 1)
        assert content["types"][0]["type"] == "demo.echo"
        assert content["types"][0]["oldestQueued"] == content["oldestQueued"]
        assert content["pools"][0]["queued"] == 2
        assert [(k["orderingKey"], k["waiting"]) for k in content["keys"]] == [("k", 2)]

    async def test_nobody_sees_what_another_tenant_has(self, desk: Desk) -> None:
        """They are counted together, and shown apart."""
        _give_away(desk, await jobs(desk, 1))

        _, content = await get(desk, "/api/stats")

        assert (content["queued"], content["types"]) == (0, [])

    async def test_a_crowd_that_asks_is_counted_for_once(self, desk: Desk) -> None:
        """Whoever asks again within a moment gets the same figures, and is told of when."""
        answers = [(await get(desk, "/api/stats"))[1] for _ in range(3)]

        assert len({answer["asOf"] for answer in answers}) == 1
        assert desk.operating.counted == 1

    async def test_what_was_never_counted_is_no_zero(self, desk: Desk) -> None:
        """503, and the next ones do not ask at once again: counting may be what it suffers from."""
        desk.store.is_away = True

        statuses = [(await get(desk, "/api/stats"))[0] for _ in range(3)]

        assert statuses == [503] * 3
        assert desk.store.questions == 1

    async def test_figures_of_before_are_good_for_a_while(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """They say of when they are."""
        monkeypatch.setattr("front_service.overview._FRESH", 0.0)
        monkeypatch.setattr("front_service.overview._SHARE", 0.0)
        _, before = await get(desk, "/api/stats")
        desk.store.is_away = True

        status, after = await get(desk, "/api/stats")

        assert (status, after["asOf"]) == (200, before["asOf"])


class TestJobTypes:
    async def test_they_are_described_with_their_schemas(self, desk: Desk) -> None:
        """Enough to write a request without having read the code."""
        status, content = await get(desk, "/api/job-types")

        described = {one["type"]: one for one in content["jobTypes"]}
        assert status == 200
        assert list(described) == ["demo.echo", "odd.break", "orders.fulfil", "scans.read"]
        order = described["orders.fulfil"]
        assert order["requestSchema"]["properties"]["lineCount"]["maximum"] == 10
        assert order["ordering"] == {
            "member": "orderId",
            "required": True,
            "afterFailure": "block",
        }
        assert (order["maxAttempts"], order["submitUrl"]) == (7, "/api/orders/fulfil")

    @pytest.mark.parametrize(
        ("workers", "expected"),
        [
            ([], (False, "no_worker")),
            ([("other", "demo.echo", "")], (False, "no_worker")),
            ([("default", "demo.sleep", "")], (False, "no_worker")),
            ([("default", "demo.echo", "demo.echo")], (False, "extra_missing")),
            ([("default", "demo.echo", "demo.echo"), ("default", "demo.echo", "")], (True, None)),
        ],
    )
    async def test_they_say_whether_they_could_be_run(
        self, desk: Desk, workers: list[tuple[str, str, str]], expected: tuple[bool, str | None]
    ) -> None:
        """By what the workers that live say of themselves."""
        desk.operating.workers_ = [Worker(*(frozenset({part}) for part in w)) for w in workers]

        _, content = await get(desk, "/api/job-types")

        echo = content["jobTypes"][0]
        assert (echo["available"], echo.get("reason")) == expected
